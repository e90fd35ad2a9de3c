/** docs/reference/metrics.md, from the gateway's own registry. */
import { openGatewayMetrics } from '../../src/adapters/telemetry/index.ts'

export async function metricsReference(): Promise<Record<string, string>> {
  const metrics = openGatewayMetrics({
    connections: () => 0,
    inFlight: () => 0,
    queued: () => 0,
    queues: () => [],
    limits: () => 'local',
    releases: () => [],
    replicas: () => [],
  })
  const text = await metrics.text()
  const types = new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name, type]))
  const rows = [...text.matchAll(/^# HELP (holdfast_\S+) (.+)$/gm)].map(
    ([, name, help]) => `| \`${name}\` | ${types.get(name) ?? ''} | ${help} |`,
  )
  return {
    'docs/reference/metrics.md': `<!-- Made by npm run docs. -->
# Metrics

\`GET /metrics\` of a gateway, in Prometheus' text format; open on loopback, elsewhere it wants a key. Besides these there are
the usual \`process_*\` and \`nodejs_*\`. Labels are \`model\` and \`version\` (and \`replica\`), as the spec names them, never what a
client sent; a \`candidate\` is the version that a release may put in the live one's place, an \`arm\` which of the two a request
was assigned to.

| metric | type | meaning |
|---|---|---|
${rows.toSorted().join('\n')}
`,
  }
}
