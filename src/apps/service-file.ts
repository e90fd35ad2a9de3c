/** Facts of the running service, written by the parent into the state folder and read by whoever asks for status. */
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import { replaceFile } from './replace-file.ts'

const ProcessFact = z.object({
  role: z.string(),
  pid: z.int(),
  startedAt: z.string(),
  restarts: z.int(),
  /** The version of Holdfast that it runs. */
  release: z.string().optional(),
  /** `starting`: not serving yet. `draining`: it finishes what it has, and another serves. */
  state: z.enum(['starting', 'running', 'draining']).optional(),
})
export type ProcessFact = z.output<typeof ProcessFact>

export const ServiceFacts = z.object({
  url: z.string(),
  /** Where this user's command line reaches the gateway without TLS. */
  socket: z.string().optional(),
  pid: z.int(),
  startedAt: z.string(),
  processes: z.array(ProcessFact),
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

/** How clients speak to a gateway that just said that it is ready; `null`: the message is another. */
export function readySchemeOf(message: unknown): 'http' | 'https' | null {
  if (typeof message !== 'object' || message === null || !('type' in message) || message.type !== 'ready') return null
  return 'scheme' in message && message.scheme === 'https' ? 'https' : 'http'
}

/** Readers see the old facts or the new ones, never half of them. */
export function writeServiceFacts(path: string, facts: ServiceFacts): void {
  replaceFile(path, JSON.stringify(facts))
}
