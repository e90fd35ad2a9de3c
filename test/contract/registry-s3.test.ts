/** The kind s3 against moto, which is not ours: the suite of all places, and an upload in parts whose writer is killed. */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openS3 } from '../../src/adapters/registry/s3/index.ts'
import { s3Interpreter, startS3, startWay } from '../support/s3/server.ts'
import { describePlace } from './object-place.ts'
import { readBytes } from './registry-bytes.ts'

const script = fileURLToPath(new URL('./registry-upload-process.ts', import.meta.url))
const interpreter = s3Interpreter()
const { signal } = new AbortController()
const partBytes = 5 * 1024 * 1024
const path = 'blobs/sha256/large'
const file = readBytes('large')

let way: Awaited<ReturnType<typeof startWay>>
const closers: (() => Promise<void>)[] = []
beforeAll(async () => {
  if (interpreter === null) return
  const server = await startS3(interpreter)
  way = await startWay(server.port)
  closers.push(way.close, server.close)
})
afterAll(async () => {
  for (const close of closers) await close()
})

const open = (folder: string) =>
  openS3({
    url: `${way.bucket}/${folder}`,
    region: 'us-east-1',
    credentials: { accessKeyId: 'AKID', secretAccessKey: 'canary', sessionToken: null },
    tell: line => expect.fail(line),
    partBytes,
  })

describePlace('S3', { open: () => open('suite'), secret: 'canary', skip: interpreter === null })

test.skipIf(interpreter === null)(
  'R1 R2 a writer that is killed in the middle has published nothing; the next one sends only what is missing',
  async () => {
    const held = way.hold(url => /partNumber=[34]/.test(url))
    const child = spawn(process.execPath, [script, `${way.bucket}/registry`, path, 'large'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const ended = once(child, 'exit')
    for await (const line of createInterface({ input: child.stdout })) if (Number(line) === 2 * partBytes) break
    await held
    child.kill('SIGKILL')
    await ended

    const place = open('registry')
    expect(await place.head(path, signal)).toBe(null)
    for await (const found of place.list('', signal)) throw new Error(`${found.path} is listed`)

    way.hold(() => false)
    const before = way.passed()
    const progress: number[] = []
    await place.write(path, { ...file, onProgress: done => progress.push(done) }, signal)
    expect(progress[0]).toBe(partBytes)
    const sent = way.passed() - before
    const missing = file.bytes - 2 * partBytes
    // The request that completes it lists the parts.
    expect(sent).toBeGreaterThanOrEqual(missing)
    expect(sent).toBeLessThan(missing + 4096)

    expect((await place.head(path, signal))?.bytes).toBe(file.bytes)
    const hash = createHash('sha256')
    for await (const piece of place.read(path, { from: 0, to: file.bytes }, signal)) hash.update(piece)
    expect(hash.digest('hex')).toBe(file.sha256)
  },
)
