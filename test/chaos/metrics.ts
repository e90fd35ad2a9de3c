/** Numbers that a service tells of itself at /metrics. */
import type { Service } from '../support/service.ts'

/** All samples of a metric, whatever their labels, together; `null`: it has none. */
export async function readMetric(service: Pick<Service, 'call'>, name: string): Promise<number | null> {
  const text = await (await service.call('/metrics')).text()
  const samples = text.split('\n').filter(line => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
  if (samples.length === 0) return null
  return samples.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0)
}
