/** Facts of the running service, written by the parent into the state folder and read by whoever asks for status. */
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { replaceFile } from './replace-file.ts'

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
  replaceFile(path, JSON.stringify(facts))
}
