/** A process for one piece of work with the library: whatever the C code does to it, whoever asked goes on. */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { ArtifactError } from '../../domain/catalog/index.ts'
import { readLogLine, type Told } from './log-lines.ts'
import type { Order, Said } from './orders.ts'

export type LibraryProcess = {
  /** This program's entry file, which does the work as the role `llama-library`. */
  entry: string
  env: Readonly<Record<string, string | undefined>>
}

type Listeners = { signal: AbortSignal; onSaid?: (said: Said) => void; onTold?: (told: Told) => void }

/** What C code that reads weights from strangers needs of the environment: no token, no key. */
const passed = ['PATH', 'LD_LIBRARY_PATH', 'TMPDIR', 'LANG', 'LC_ALL']
const flags = ['--disable-warning=ExperimentalWarning']
const keptLines = 12

/** Rejects with an ArtifactError that tells what the library said, or with the signal's reason; nothing runs any more then. */
export async function runOrder(
  { entry, env }: LibraryProcess,
  order: Order,
  { signal, onSaid, onTold }: Listeners,
): Promise<void> {
  signal.throwIfAborted()
  const child = spawn(process.execPath, [...flags, entry, 'llama-library'], {
    env: Object.fromEntries(passed.map(name => [name, env[name]])),
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    // Numbers go over as they are.
    serialization: 'advanced',
    // A group of its own: Ctrl-C reaches the parent alone.
    detached: true,
  })
  const ended = Promise.withResolvers<string>()
  child.once('error', error => ended.resolve(`it did not start: ${error.message}`))
  // After `exit`, and once all that it wrote has been read.
  child.once('close', (code, by) => ended.resolve(by ?? `exit code ${code}`))
  const last: string[] = []
  const problems: string[] = []
  if (child.stderr !== null)
    createInterface({ input: child.stderr }).on('line', line => {
      if (line.trim() !== '') last.push(line)
      if (last.length > keptLines) last.shift()
      const told = readLogLine(line)
      if (told?.tells === 'problem') problems.push(told.problem)
      if (told !== null) onTold?.(told)
    })
  const answer: { final: Said | null } = { final: null }
  child.on('message', message => {
    // Only `carryOut` of this program speaks on this channel.
    const said = message as Said
    if (said.say === 'ready') child.send(order, () => {})
    if (said.say === 'done' || said.say === 'refused') answer.final = said
    onSaid?.(said)
  })
  // It holds nothing that wants an orderly end, and C code in the middle of its work hears nothing milder.
  const stop = (): void => void child.kill('SIGKILL')
  signal.addEventListener('abort', stop, { once: true })
  const end = await ended.promise
  signal.removeEventListener('abort', stop)
  signal.throwIfAborted()
  const { final } = answer
  if (final?.say === 'done') return
  const why = final?.say === 'refused' ? final.why : `its process ended with ${end}`
  const said = problems.length > 0 ? problems : last.slice(why === '' || final === null ? -3 : last.length)
  throw new ArtifactError('never', `llama.cpp’s library: ${[why, ...new Set(said)].filter(Boolean).join('; ')}`)
}
