/** `holdfast model push`, `list`, `verify` and `prune` as people use them, killed where it hurts most. */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { repository, runCli, type CliAnswer } from '../support/service.ts'

const smoke = join(repository, 'weights/smoke/smoke.gguf')
const commit = '0123456789abcdef0123456789abcdef01234567'
const first = 'production-v1.0-smoke-q8-0-p0'
const second = 'production-v1.1-smoke-q8-0-p0'
/** Enough that a kill at the first quarter lands long before the end. */
const largeBytes = 256 * 1024 * 1024

let folder: string
let env: Record<string, string | undefined>
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-registry-'))
  env = { ...process.env, HOLDFAST_HOME: join(folder, 'home'), HF_HUB_OFFLINE: '1' }
  mkdirSync(join(folder, 'weights'))
  copyFileSync(smoke, join(folder, 'weights/smoke.gguf'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** A registry of its own for each test, and the spec that names it. */
function open(name: string, temperature = 0.2, from = 'file:weights/smoke.gguf') {
  const root = join(folder, `registry-${name}`)
  const spec = join(folder, `${name}-${temperature}.yaml`)
  const version = (version: string) => `
  - name: ${version}
    artifact: { from: "${from}", registry: main }
    engine: { kind: embedded }
    sampling: { temperature: ${temperature} }`
  writeFileSync(
    spec,
    `apiVersion: holdfast/v1
name: registry-test
registry:
  - { name: main, kind: directory, path: ${root} }
versions:${version(first)}${version(second)}
`,
  )
  return {
    root,
    spec,
    model: (...args: string[]): Promise<CliAnswer> => runCli(['model', ...args, '--spec', spec], env),
    start: (...args: string[]) => start(['model', ...args, '--spec', spec]),
    versions: (): string[] => (existsSync(join(root, 'versions')) ? readdirSync(join(root, 'versions')) : []),
  }
}

/** A command that goes on beside the test. */
function start(args: string[]) {
  const child = spawn(join(repository, 'bin/holdfast'), args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const said = { stdout: '', stderr: '' }
  let heard = (): void => {}
  for (const name of ['stdout', 'stderr'] as const)
    child[name].setEncoding('utf8').on('data', (text: string) => {
      said[name] += text
      heard()
    })
  const ended = once(child, 'close')
  return {
    said,
    /** Until it says so on standard error; rejects when it ends before. */
    async saying(wanted: RegExp): Promise<void> {
      const { promise, resolve } = Promise.withResolvers<void>()
      heard = () => {
        if (wanted.test(said.stderr)) resolve()
      }
      heard()
      await Promise.race([
        promise,
        ended.then(() => {
          throw new Error(`it ended without saying ${wanted}: ${said.stdout}${said.stderr}`)
        }),
      ])
    },
    async kill(signal: 'SIGKILL' | 'SIGINT'): Promise<number | string | null> {
      child.kill(signal)
      const [code, by] = (await ended) as [number | null, string | null]
      return code ?? by
    },
    async end(): Promise<{ code: number; stdout: string; stderr: string }> {
      const [code] = (await ended) as [number]
      return { code, ...said }
    },
  }
}

/** As a running prune announces itself. */
function holdBack(root: string): () => void {
  mkdirSync(join(root, 'prunes'), { recursive: true })
  const mark = join(root, 'prunes', 'test.json')
  writeFileSync(mark, '{}')
  return () => rmSync(mark)
}

/** As if nobody had come for more than a day. */
function age(root: string): void {
  const then = new Date(Date.now() - 25 * 3_600_000)
  for (const path of readdirSync(root, { recursive: true, encoding: 'utf8' })) utimesSync(join(root, path), then, then)
}

test('a version is published, found again, verified to the byte, and its name keeps its meaning', async () => {
  const { model, root } = open('once')
  const pushed = await model('push', first, '--json')
  expect(pushed).toMatchObject({ exitCode: 0 })
  const { version } = JSON.parse(pushed.stdout)
  expect(version).toMatchObject({
    name: first,
    from: 'file:weights/smoke.gguf',
    artifact: { files: [{ path: 'smoke.gguf' }] },
  })
  const [{ sha256 }] = version.artifact.files
  expect(readFileSync(join(root, 'blobs/sha256', sha256)).equals(readFileSync(smoke))).toBe(true)

  const changed = await open('once', 0.9).model('push', first)
  expect(changed.exitCode).toBe(1)
  expect(changed.stderr).toContain('Different: sampling.temperature was 0.2 and is 0.9')
  expect(changed.stderr).toContain('free: production-v1.2-smoke-q8-0-p0')

  const listed = JSON.parse((await model('list', '--json')).stdout)
  expect(listed.registries).toMatchObject([
    { name: 'main', versions: [{ name: first, digest: version.digest }], unnamed: { files: 0 } },
  ])

  const bytes = readFileSync(smoke)
  bytes[1_000_000] = (bytes[1_000_000] ?? 0) ^ 1
  writeFileSync(join(root, 'blobs/sha256', sha256), bytes)
  const verified = await model('verify', '--registry', 'main')
  expect(verified.exitCode).toBe(1)
  expect(verified.stdout).toContain(`wrong digest: blobs/sha256/${sha256}`)
  expect(verified.stdout).toContain(`needed by ${first}`)
  // One with another length is seen by a push, which mends it.
  truncateSync(join(root, 'blobs/sha256', sha256), 1000)
  expect((await model('push', first)).stdout).toContain('1 sent')
  expect(await model('verify', '--registry', 'main')).toMatchObject({ exitCode: 0 })
})

test('what the engine would not load, or is named wrongly, is not published', async () => {
  const { model, spec, versions } = open('wrong')
  writeFileSync(
    spec,
    readFileSync(spec, 'utf8').replaceAll('smoke-q8-0', 'smoke-q4-k-m').replace('kind: embedded', 'kind: tensorrt-llm'),
  )
  const named = await model('push', first.replace('q8-0', 'q4-k-m'))
  expect(named.exitCode).toBe(1)
  expect(named.stderr).toContain('the name says q4-k-m, and the file is q8-0')
  expect(named.stderr).toContain('tensorrt-llm does not take it')
  const pinned = await open('wrong', 0.2, `file:weights/smoke.gguf@sha256:${'0'.repeat(64)}`).model('push', first)
  expect(pinned.exitCode).toBe(1)
  expect(pinned.stderr).toContain('the spec says SHA-256 000')
  expect(versions()).toEqual([])
})

describe('killed', () => {
  test('in the middle of its bytes, and again before its name: nothing is published, nothing whole is sent twice, and then it verifies', async () => {
    mkdirSync(join(folder, 'large'))
    copyFileSync(smoke, join(folder, 'large/model.gguf'))
    // Sparse: it takes no room, but every byte of it is read and sent.
    writeFileSync(join(folder, 'large/adapter.bin'), 'adapter')
    truncateSync(join(folder, 'large/adapter.bin'), largeBytes)
    const { start: begin, model, root, versions } = open('killed', 0.2, 'file:large')
    const blobs = () => readdirSync(join(root, 'blobs/sha256')).filter(name => !name.startsWith('.'))

    const inItsBytes = begin('push', first)
    await inItsBytes.saying(/sending: 25 %/)
    expect(await inItsBytes.kill('SIGKILL')).toBe('SIGKILL')
    expect(versions()).toEqual([])
    // The small file had come, the large one has no name yet.
    expect(blobs()).toHaveLength(1)
    expect(readdirSync(join(root, 'pushes'))).toHaveLength(1)

    const beforeItsName = begin('push', first)
    await beforeItsName.saying(/sending: 25 %/)
    const release = holdBack(root)
    await beforeItsName.saying(/is being pruned/)
    expect(await beforeItsName.kill('SIGKILL')).toBe('SIGKILL')
    expect(versions()).toEqual([])
    expect(blobs()).toHaveLength(2)
    release()

    const resumed = await model('push', first)
    expect(resumed.exitCode, resumed.stderr).toBe(0)
    expect(resumed.stderr).not.toContain('sending')
    expect(resumed.stdout).toContain('is published')
    expect(resumed.stdout).toContain('0 sent (0 bytes), 2 there before')
    const verified = await model('verify', first)
    expect(verified).toMatchObject({ exitCode: 0 })
    expect(verified.stdout).toContain('2 files, 270.7 MB read')

    // What the killed ones left (the second one held two leases) goes once it is a day old; what the version names stays.
    age(root)
    const pruned = JSON.parse((await model('prune', '--registry', 'main', '--yes', '--json')).stdout)
    expect(pruned.removed.map(({ why }: { why: string }) => why).toSorted()).toEqual([
      'leftover',
      'push',
      'push',
      'push',
    ])
    expect(readdirSync(join(root, 'blobs/sha256')).toSorted()).toEqual(blobs().toSorted())
    expect(blobs()).toHaveLength(2)
    expect(readdirSync(join(root, 'pushes'))).toEqual([])
  })

  test('Ctrl-C ends it cleanly, without a lease left', async () => {
    const { start: begin, root, versions } = open('stopped')
    holdBack(root)
    const push = begin('push', first)
    await push.saying(/is being pruned/)
    expect(await push.kill('SIGINT')).toBe(1)
    expect(push.said.stderr).toContain('Stopped: nothing was published. The same push goes on where this one was.')
    expect(versions()).toEqual([])
    expect(readdirSync(join(root, 'pushes'))).toEqual([])
  })
})

test('of two publishers at once one wins; the same is told that it is done, the other one what differs', async () => {
  const [same, other] = [open('race'), open('race', 0.9)]
  const release = holdBack(same.root)
  const pushes = [same.start('push', first), same.start('push', first), other.start('push', first)]
  for (const push of pushes) await push.saying(/is being pruned/)
  release()
  const ends = await Promise.all(pushes.map(push => push.end()))
  const won = ends.filter(({ stdout }) => stdout.includes('is published in main'))
  expect(won).toHaveLength(1)
  const [a, b, c] = ends
  if (c?.code === 0) {
    expect([a?.code, b?.code]).toEqual([1, 1])
    expect(a?.stderr).toContain('sampling.temperature was 0.9 and is 0.2')
  } else {
    expect([a?.code, b?.code]).toEqual([0, 0])
    expect(ends.filter(({ stdout }) => stdout.includes('before, and is the same'))).toHaveLength(1)
    expect(c?.stderr).toContain('sampling.temperature was 0.2 and is 0.9')
  }
})

test('what was fetched from a hub is mirrored under its commit, and goes with prune --sources only', async () => {
  const store = join(folder, 'home/artifacts')
  const { root, model } = open('mirror')
  const sha256 = createHash('sha256').update(readFileSync(smoke)).digest('hex')
  mkdirSync(join(store, 'sha256'), { recursive: true })
  copyFileSync(smoke, join(store, 'sha256', sha256))
  const named = join(store, 'hf', `owner--smoke@${commit}`)
  mkdirSync(named, { recursive: true })
  symlinkSync(`../../sha256/${sha256}`, join(named, 'smoke.gguf'))

  const source = `hf:owner/smoke@${commit}:smoke.gguf`
  expect(await model('push', source)).toMatchObject({ exitCode: 0 })
  const document = JSON.parse(readFileSync(join(root, `sources/hf/owner--smoke@${commit}/smoke.gguf.json`), 'utf8'))
  expect(document).toMatchObject({ schema: 1, sha256, bytes: 2_236_896 })
  expect(await model('verify', source, '--registry', 'main')).toMatchObject({ exitCode: 0 })
  expect((await model('push', `hf:owner/smoke@${commit}:other.gguf`)).stderr).toContain('holdfast model pull')

  age(root)
  const left = () => readdirSync(join(root, 'blobs/sha256'))
  await model('prune', '--registry', 'main', '--yes')
  expect(left()).toEqual([sha256])
  expect((await model('prune', '--registry', 'main', '--sources', '--yes')).stdout).toContain('2 files, 2.2 MB removed')
  expect(left()).toEqual([])

  // The host's own weights.
  writeFileSync(join(store, 'sha256', sha256), 'damaged')
  const verified = await runCli(['model', 'verify', source, '--json'], env)
  expect(verified.exitCode).toBe(1)
  expect(JSON.parse(verified.stdout).findings).toMatchObject([{ path: `sha256/${sha256}`, problem: 'wrong digest' }])
})
