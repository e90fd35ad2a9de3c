/** SIGHUP to a service without a terminal: the spec is put in force, as `holdfast apply` does it. */
import { z } from 'zod'
import { fetchAtSocket } from '../reach-gateway.ts'

export type HangUpParts = {
  /** The controller's own. */
  socket: string
  key: string
  say: (text: string) => void
  /** With a terminal the signal ends the service, and is nothing to us. */
  ignored: boolean
}

const Refused = z.object({ error: z.object({ message: z.string() }) })
const Done = z.object({ changes: z.array(z.unknown()) })

export function applyOnHangUp({ socket, key, say, ignored }: HangUpParts): { close(): void } {
  if (ignored) return { close() {} }
  const onHangUp = (): void => void apply().then(say)
  process.on('SIGHUP', onHangUp)
  return { close: () => void process.off('SIGHUP', onHangUp) }

  async function apply(): Promise<string> {
    try {
      const answer = await fetchAtSocket(socket, '/api/v1/apply', {
        method: 'POST',
        headers: { 'authorization': `Bearer ${key}`, 'content-type': 'application/json' },
        body: '{}',
      })
      const told: unknown = await answer.json()
      if (answer.ok) return `holdfast: the spec is in force (${Done.parse(told).changes.length} changes)\n`
      return `holdfast: ${Refused.parse(told).error.message}\n`
    } catch (error) {
      return `holdfast: the spec could not be applied: ${error instanceof Error ? error.message : String(error)}\n`
    }
  }
}
