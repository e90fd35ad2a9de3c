/** A reader's terminal: one shell for a whole document, and one more for each service that goes on beside it. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Block } from './docs.ts'

export type Terminal = {
  /** Types a block and waits for its end, or until it listens where it says. Throws with all it said. */
  run(block: Block): Promise<string>
  /** Ctrl-C to whatever still runs, and waits for its end. */
  close(): Promise<void>
}

type Options = {
  cwd: string
  env: NodeJS.ProcessEnv
  /** For files of ours. */
  folder: string
}

const serveMs = 60_000
const stopMs = 45_000

export function openTerminal({ cwd, env, folder }: Options): Terminal {
  const shell = spawn('sh', [], { cwd, env, stdio: 'pipe', detached: true })
  const services: ChildProcess[] = []
  let failedAt: number | null = null
  let said = ''
  let heard = (): void => {}
  for (const stream of [shell.stdout, shell.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text
      heard()
    })
  }
  // Typing into a shell that has ended: its exit is what is told.
  shell.stdin.on('error', () => {})

  /** The exit code of `text`, which the shell ran itself: what it sets and exports stays. */
  function type(text: string): Promise<{ code: number; output: string }> {
    const mark = `-- ${crypto.randomUUID()} `
    const from = said.length
    const { promise, resolve } = Promise.withResolvers<{ code: number; output: string }>()
    const finish = (code: number): void => resolve({ code, output: said.slice(from).split(mark)[0] ?? '' })
    heard = () => {
      const code = new RegExp(`${mark}(\\d+)\\n`).exec(said)?.[1]
      if (code !== undefined) finish(Number(code))
    }
    const end = shell.exitCode ?? (shell.signalCode === null ? null : 1)
    if (end === null) shell.once('close', code => finish(code ?? 1))
    else finish(end)
    shell.stdin.write(`${text}\nprintf '%s%s\\n' '${mark}' "$?"\n`)
    return promise
  }

  async function runHere({ line, commands, exitCode }: Block): Promise<string> {
    const file = join(folder, `block-${line}.sh`)
    writeFileSync(file, `${commands}\n`)
    // `-e`: each command of a block counts, not only its last. Where a failure is expected, it is the last one's.
    const { code, output } = await type(
      exitCode === 0 ? `set -e; . '${file}' </dev/null; set +e` : `( . '${file}' ) </dev/null`,
    )
    if (code !== exitCode) failedAt ??= line
    if (code !== exitCode) throw new Error(`it ended with ${code} instead of ${exitCode}:\n${commands}\n${output}`)
    return output
  }

  async function runBeside({ line, commands }: Block): Promise<string> {
    const [file, exported] = [join(folder, `block-${line}.sh`), join(folder, `block-${line}.env`)]
    await type(`export -p > '${exported}'`)
    writeFileSync(file, `. '${exported}'\n${commands}\n`)
    const service = spawn('sh', [file], { cwd, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
    services.push(service)
    let output = ''
    for (const stream of [service.stdout, service.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => (output += text))
    const start = performance.now()
    for (;;) {
      if (await listens(/http:\/\/127\.0\.0\.1:(\d+)/.exec(output)?.[1])) return output
      if (service.exitCode !== null || service.signalCode !== null) throw new Error(`it ended:\n${commands}\n${output}`)
      if (performance.now() - start > serveMs) throw new Error(`it does not serve:\n${commands}\n${output}`)
      await delay(50)
    }
  }

  return {
    async run(block) {
      // What comes after builds on it.
      if (failedAt !== null) throw new Error(`not run: the block at line ${failedAt} failed`)
      return block.background ? runBeside(block) : runHere(block)
    },
    async close() {
      shell.stdin.end()
      for (const process of [...services.toReversed(), shell]) await stop(process)
    },
  }
}

async function listens(port: string | undefined): Promise<boolean> {
  if (port === undefined) return false
  const socket = connect(Number(port), '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

/** As Ctrl-C: the whole group. */
async function stop(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  const group = -child.pid
  const signal = (name: NodeJS.Signals): void => {
    try {
      process.kill(group, name)
    } catch {
      // It has ended.
    }
  }
  signal('SIGINT')
  const deadline = setTimeout(() => signal('SIGKILL'), stopMs)
  await ended
  clearTimeout(deadline)
}

/**
 * A document's commands with addresses that are free here. `http://127.0.0.1:8080` becomes `url`; every other port gets
 * one of `ports`; an example that names such a port is copied, and the copy is used.
 */
export function relocate(
  commands: string,
  { url, ports, cwd, folder }: { url: string; ports: ReadonlyMap<string, number>; cwd: string; folder: string },
): string {
  const moved = (text: string): string =>
    text.replaceAll(/(127\.0\.0\.1:|--port )(\d+)/g, (whole, before: string, port: string) => {
      const to = ports.get(port)
      return to === undefined ? whole : `${before}${to}`
    })
  return moved(commands.replaceAll('http://127.0.0.1:8080', url)).replaceAll(/examples\/[\w/-]+\.yaml/g, path => {
    const text = readFileSync(join(cwd, path), 'utf8')
    if (moved(text) === text) return path
    const copy = join(folder, path.replaceAll('/', '-'))
    writeFileSync(copy, moved(text))
    return copy
  })
}

/** The ports that a document's commands name, without the service's own. */
export function portsIn(commands: readonly string[]): string[] {
  const named = commands.flatMap(text =>
    [...text.matchAll(/(?:127\.0\.0\.1:|--port )(\d+)/g)].map(([, port = '']) => port),
  )
  return [...new Set(named)].filter(port => port !== '8080' && port !== '0')
}
