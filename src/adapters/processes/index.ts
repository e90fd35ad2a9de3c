/** Processes: starting, adopting and tying them together; the socket that outlives gateways. */
export { holdLifeline } from './lifeline.ts'
export { bindListeningSocket, inheritedSocket } from './listening-socket.ts'
export { memoryBounds } from './memory-limit.ts'
export { giveOrder, listenForOrders } from './orders.ts'
export type { OrderEnd } from './orders.ts'
export { adopt, spawnIndependent, spawnRole, startTimeOf } from './spawn.ts'
export type { RoleProcess } from './spawn.ts'
