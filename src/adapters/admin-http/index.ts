/** Administration over HTTP: the controller's server, and Holdfast's own routes on it. Start at `openAdminServer`. */
export { adminRoutes } from './admin-routes.ts'
export type { AdminParts } from './admin-routes.ts'
export type { ReleaseAdmin } from './releases.ts'
export type { GatewayRow } from './gateways.ts'
export { openNotes, recordActs } from './record-acts.ts'
export { openAdminServer } from './server.ts'
export type { AdminLog } from './server.ts'
export type { Status } from './status.ts'
