/** Identity between the machines of a service: its own authority, the certificates it gives, and the tokens that open the door. */
export { controllerName, fingerprintOf, openAuthority } from './authority.ts'
export type { Authority, ServerCredentials } from './authority.ts'
export { hashPublicKey, isDue, isProof, openGatewayIdentity } from './gateway-identity.ts'
export type { GatewayIdentity, Joined } from './gateway-identity.ts'
export { joinAt, joinOccasion, NotThere, splitAddress } from './join.ts'
export { hashSecret, looksLikeJoinToken, parseJoinToken, renderJoinToken, secretBytes } from './join-token.ts'
export type { JoinToken } from './join-token.ts'
