/** Telemetry: what processes tell operators' tools. */
export { openGatewayMetrics } from './gateway-metrics.ts'
export { openLog } from './log.ts'
export type { Log } from './log.ts'
