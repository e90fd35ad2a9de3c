/** The edge: who a client is behind the proxies that are believed, and how much one address may take. */
export { openAddressCounts } from './address-counts.ts'
export type { AddressCounts } from './address-counts.ts'
export { openTrust } from './client-address.ts'
export type { Trust } from './client-address.ts'
export { readProxyHeader } from './proxy-protocol.ts'
export type { ProxyReading } from './proxy-protocol.ts'
