/** The link between the controller and its gateways and agents. The controller starts at `openLinkHub`. */
export { openLinkHub } from './link-hub.ts'
export type { GatewayState, Held, LinkHub, Sink } from './link-hub.ts'
export { linkRoutes } from './link-server.ts'
/** The far end, for gateways and agents. */
export { openGatewayDisk } from './gateway-disk.ts'
export type { GatewayDisk } from './gateway-disk.ts'
export { keepDialling, tell } from './link-client.ts'
