/** What an agent keeps in the state folder: its assignments, for the next agent, and its engines' processes, for status too. */
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import type { EngineAssignment } from '../domain/serving/index.ts'
import { replaceFile } from './replace-file.ts'

/** A running engine. Its start time tells it from another process that got its pid later. */
const EngineProcess = z.object({
  replica: z.string(),
  version: z.string(),
  pid: z.int(),
  socket: z.string(),
  startedAt: z.string(),
  startTime: z.string().nullable(),
  digest: z.string(),
  restarts: z.int(),
})
export type EngineProcess = z.output<typeof EngineProcess>

const EnginesFile = z.object({
  // Written by this program only, as the controller sent them.
  engines: z.array(z.custom<EngineAssignment>()),
  processes: z.array(EngineProcess),
})
export type EnginesFile = z.output<typeof EnginesFile>

/** Empty when no agent has kept anything, or the file is damaged. */
export function readEngines(path: string): EnginesFile {
  try {
    return EnginesFile.parse(JSON.parse(readFileSync(path, 'utf8')))
  } catch {
    return { engines: [], processes: [] }
  }
}

/** Readers see the old file or the new one. */
export function writeEngines(path: string, file: EnginesFile): void {
  replaceFile(path, JSON.stringify(file))
}
