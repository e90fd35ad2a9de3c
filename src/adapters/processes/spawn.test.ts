import { once } from 'node:events'
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Running } from '../../services/supervise.ts'
import { adopt, spawnIndependent, spawnRole, startTimeOf } from './spawn.ts'

let folder: string
const started: Running[] = []
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hf-spawn-'))
})
afterEach(async () => {
  for (const { pid, ended } of started.splice(0)) {
    if (startTimeOf(pid) !== null) process.kill(pid, 'SIGKILL')
    await ended
  }
  rmSync(folder, { recursive: true, force: true })
})

const keep = (running: Running): Running => {
  started.push(running)
  return running
}

/** A program that runs until it is told to stop, unless `body` says otherwise. */
function program(body = ''): string {
  const entry = join(folder, 'entry.mjs')
  writeFileSync(
    entry,
    `const alive = setInterval(() => {}, 1000)\nprocess.on('disconnect', () => process.exit(7))\n${body}\n`,
  )
  return entry
}

const env = { PATH: process.env['PATH'] }

/** Starts a role and waits until it has said that it runs. */
async function up(body: string, parts: Partial<Parameters<typeof spawnRole>[0]> = {}): Promise<Running> {
  const { promise, resolve } = Promise.withResolvers<unknown>()
  const running = keep(
    spawnRole({ entry: program(`${body}\nprocess.send('up')`), role: 'gateway', env, onMessage: resolve, ...parts }),
  )
  expect(await promise).toBe('up')
  return running
}

test('a role runs with its name on its command line, and stops at SIGTERM', async () => {
  const running = await up('')
  expect(readFileSync(`/proc/${running.pid}/cmdline`, 'utf8').split('\0')).toContain('gateway')
  running.stop()
  expect(await running.ended).toBe('SIGTERM')
  expect(startTimeOf(running.pid)).toBeNull()
})

test('how a role ended is told: its exit code, the signal, or that it never started', async () => {
  expect(await keep(spawnRole({ entry: program('process.exit(3)'), role: 'x', env })).ended).toBe('exit code 3')
  const running = await up('')
  process.kill(running.pid, 'SIGKILL')
  expect(await running.ended).toBe('SIGKILL')
})

test('a role can be asked to stop with a message of its own', async () => {
  const running = await up("process.on('message', ({ type }) => process.exit(type === 'stop-engines' ? 5 : 6))", {
    stopMessage: { type: 'stop-engines' },
  })
  running.stop()
  expect(await running.ended).toBe('exit code 5')
  // Asked again after its end: nothing to do.
  expect(() => running.stop()).not.toThrow()
})

test('a role ends when the process that started it is killed', async () => {
  const entry = program("process.send?.('up')")
  // A file, not `--eval`: a role is started with its parent's own flags, and would evaluate it again.
  const parentFile = join(folder, 'parent.mjs')
  writeFileSync(
    parentFile,
    `import { spawnRole } from ${JSON.stringify(new URL('spawn.ts', import.meta.url).href)}
    const { pid } = spawnRole({ entry: ${JSON.stringify(entry)}, role: 'x', env: process.env, onMessage: () => process.stdout.write(String(pid)) })`,
  )
  const parent = spawn(process.execPath, [parentFile], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [text] = await once(parent.stdout, 'data')
  const pid = Number(String(text))
  const startTime = startTimeOf(pid)
  expect(startTime).not.toBeNull()
  parent.kill('SIGKILL')
  const child = adopt(pid, startTime ?? '')
  expect(await child.ended).toBe('gone')
})

test('an independent process is adopted by its pid and start, and stops when it is told', async () => {
  const file = join(folder, 'ready')
  const born = keep(
    spawnIndependent({
      entry: program(`(await import('node:fs')).writeFileSync(${JSON.stringify(file)}, '')`),
      role: 'engine',
      env,
    }),
  )
  const startTime = startTimeOf(born.pid)
  expect(startTime).toMatch(/^\d+$/)
  const adopted = adopt(born.pid, startTime ?? '')
  adopted.stop()
  expect(await adopted.ended).toBe('gone')
  await born.ended
  // Gone already: stopping again does nothing.
  expect(() => adopted.stop()).not.toThrow()
})

test('a pid that means another process now is not adopted', async () => {
  expect(await adopt(process.pid, 'another start').ended).toBe('gone')
})

test('the start of a process is the same each time, differs between processes, and is null when there is none', async () => {
  expect(startTimeOf(process.pid)).toBe(startTimeOf(process.pid))
  const running = await up('')
  expect(startTimeOf(running.pid)).not.toBe(startTimeOf(process.pid))
  process.kill(running.pid, 'SIGKILL')
  await running.ended
  expect(startTimeOf(running.pid)).toBeNull()
})
