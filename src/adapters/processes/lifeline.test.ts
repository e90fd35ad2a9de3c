import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { holdLifeline } from './lifeline.ts'

let folder: string
let path: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hf-life-'))
  path = join(folder, 'up.sock')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

function isHeld(at: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = connect(at, () => {
    socket.destroy()
    resolve(true)
  })
  socket.once('error', () => resolve(false))
  return promise
}

test('a lifeline is held until it is closed, and only its owner may reach it', async () => {
  expect(await isHeld(path)).toBe(false)
  const line = await holdLifeline(path)
  expect(await isHeld(path)).toBe(true)
  expect(statSync(path).mode & 0o777).toBe(0o600)
  await line.close()
  expect(await isHeld(path)).toBe(false)
})

test('a second holder is refused with what to do', async () => {
  const line = await holdLifeline(path)
  await expect(holdLifeline(path)).rejects.toThrow(/HOLDFAST_HOME/)
  expect(await isHeld(path)).toBe(true)
  await line.close()
})

test('what a killed holder left behind is replaced', async () => {
  const program = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.stdout.write('up'))`
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  expect(await isHeld(path)).toBe(true)
  child.kill('SIGKILL')
  await once(child, 'exit')
  expect(statSync(path).isSocket()).toBe(true)
  const line = await holdLifeline(path)
  expect(await isHeld(path)).toBe(true)
  await line.close()
})

test('whoever hangs on it hears of its end, and it waits until they have let go', async () => {
  const line = await holdLifeline(path)
  const ends = Array.from({ length: 3 }, () => connect({ path, allowHalfOpen: true }))
  await Promise.all(ends.map(end => once(end, 'connect')))
  // Connected is not yet accepted: that takes the holder a turn.
  for (let turn = 0; turn < 10; turn++) await new Promise(resolve => setImmediate(resolve))
  let letGo = 0
  for (const end of ends) {
    end.resume().once('end', () => {
      setImmediate(() => {
        letGo++
        end.end()
      })
    })
  }
  await line.close()
  expect(letGo).toBe(3)
})
