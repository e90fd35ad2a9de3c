/** Facts of the running service, written by the parent into the state folder and read by whoever asks for status. */
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { z } from 'zod'

export const ServiceFacts = z.object({
  url: z.string(),
  pid: z.int(),
  startedAt: z.string(),
  processes: z.array(z.object({ role: z.string(), pid: z.int(), startedAt: z.string(), restarts: z.int() })),
})
export type ServiceFacts = z.output<typeof ServiceFacts>

/** `null`: nothing has run with this state folder. */
export function readServiceFacts(path: string): ServiceFacts | null {
  try {
    return ServiceFacts.parse(JSON.parse(readFileSync(path, 'utf8')))
  } catch {
    return null
  }
}

/** Readers see the old facts or the new ones, never half of them. */
export function writeServiceFacts(path: string, facts: ServiceFacts): void {
  writeFileSync(`${path}.new`, JSON.stringify(facts), { mode: 0o600 })
  renameSync(`${path}.new`, path)
}
