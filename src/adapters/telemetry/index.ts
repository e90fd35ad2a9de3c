/** Telemetry: the series that a gateway shows to operators' tools. */
export { openGatewayMetrics } from './gateway-metrics.ts'
