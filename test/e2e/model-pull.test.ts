/** Pulling as a person does it: kill -9, Ctrl-C and a full disk in the middle, then the same command; what comes is what was meant. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { createHash, randomFillSync } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { artifactListing, blobPath, sourcePath, versionPath } from '../../src/domain/catalog/index.ts'
import { versionIdentity } from '../../src/domain/serving/index.ts'
import { parseSpec } from '../../src/domain/spec/index.ts'
import { commit, repositoryName, startHub, type Hub } from '../support/hub.ts'
import { repository, runCli, startService } from '../support/service.ts'
import { until } from '../support/settled.ts'

const mebibyte = 1024 * 1024
/** Large enough to come in ranges. */
const big = Buffer.alloc(72 * mebibyte)
const smoke = readFileSync(join(repository, 'weights/smoke/smoke.gguf'))
const repositoryFiles = {
  'config.json': Buffer.from('{}'),
  'tokenizer.json': Buffer.from('{"version":"1.0"}'),
  'empty.txt': Buffer.alloc(0),
  'model.safetensors': Buffer.alloc(300_000, 1),
  'pytorch_model.bin': Buffer.alloc(310_000, 2),
  'onnx/model.onnx': Buffer.alloc(290_000, 3),
}
const source = `hf:${repositoryName}@${commit}:big.gguf`
const connections = 4

let hub: Hub
let folder: string
let home: string
const children: ChildProcess[] = []
beforeAll(async () => {
  randomFillSync(big)
  big.write('GGUF')
  hub = await startHub({ 'big.gguf': big, 'smoke.gguf': smoke })
})
afterAll(() => hub.close())
beforeEach(() => {
  hub.behave({})
  hub.seen.length = 0
  folder = mkdtempSync(join(tmpdir(), 'holdfast-pull-'))
  home = join(folder, 'home')
})
afterEach(async () => {
  for (const child of children.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  rmSync(folder, { recursive: true, force: true })
})

const environment = (more: Record<string, string> = {}) => ({
  ...process.env,
  HOLDFAST_HOME: home,
  HF_ENDPOINT: hub.url,
  ...more,
})
const pull = (args: string[], env: Record<string, string> = {}) => runCli(['model', 'pull', ...args], environment(env))

const sha256 = (bytes: Buffer | string): string => createHash('sha256').update(bytes).digest('hex')

/** As far as it is noted that it is on the disk. */
function notedBytes(): number {
  const path = join(home, 'artifacts', 'parts', `sha256-${sha256(big)}.extents`)
  if (!existsSync(path)) return 0
  const { extents } = JSON.parse(readFileSync(path, 'utf8')) as { extents: [number, number][] }
  return extents.reduce((sum, [from, to]) => sum + to - from, 0)
}

/** A pull with all its connections under way, each of which stands still after so many bytes; all of those are noted. */
async function startHeld(bytes: number) {
  hub.behave({ holdAfter: bytes })
  const child = spawn(join(repository, 'bin/holdfast'), ['model', 'pull', source, '--connections', `${connections}`], {
    cwd: folder,
    env: environment(),
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  children.push(child)
  const said = { text: '' }
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said.text += text))
  const ranges = Math.min(connections, Math.ceil(big.length / (32 * mebibyte)))
  await until(`${ranges} ranges under way`, () => notedBytes() === ranges * bytes, 30_000)
  return { child, said, noted: ranges * bytes }
}

async function endOf(child: ChildProcess): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  return { code: child.exitCode, signal: child.signalCode }
}

test('after kill -9 in the middle of several ranges the same command asks only for what is missing; then nobody is asked', async () => {
  const { child, noted } = await startHeld(3 * mebibyte)
  child.kill('SIGKILL')
  await endOf(child)
  hub.behave({})
  const sent = hub.sent()
  const again = await pull([source, '--json'])
  expect(again).toMatchObject({ exitCode: 0 })
  expect(hub.sent() - sent).toBe(big.length - noted)
  const { files } = JSON.parse(again.stdout) as { files: { path: string; at: string; fetched: boolean }[] }
  expect(files).toMatchObject([{ path: 'big.gguf', fetched: true }])
  expect(sha256(readFileSync(files[0]?.at ?? ''))).toBe(sha256(big))
  expect(readdirSync(join(home, 'artifacts', 'parts'))).toEqual([])

  const asked = hub.seen.length
  const third = await pull([source], { HF_HUB_OFFLINE: '1' })
  expect(third.stdout).toMatch(/^Already here.*\n {2}.*big\.gguf\nNext: holdfast up --model hf:/)
  expect(hub.seen).toHaveLength(asked)
})

test('Ctrl-C keeps what came, says so, and goes on; a full disk, too', async context => {
  const { child, said, noted } = await startHeld(2 * mebibyte)
  child.kill('SIGINT')
  expect(await endOf(child)).toEqual({ code: 1, signal: null })
  expect(said.text).toMatch(/Stopped\. 6\.3 MB of 75\.5 MB are kept: the same command goes on from there\./)
  expect(notedBytes()).toBe(noted)

  if (process.getuid?.() !== 0) return context.skip('mounting a small disk takes root')
  const disk = join(folder, 'disk')
  mkdirSync(disk)
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=90m', 'tmpfs', disk])
  try {
    home = join(disk, 'home')
    const { child: full, said: words } = await startHeld(1 * mebibyte)
    writeFileSync(join(disk, 'filler'), Buffer.alloc(60 * mebibyte))
    hub.behave({})
    hub.resume()
    expect(await endOf(full)).toEqual({ code: 1, signal: null })
    expect(words.text).toMatch(/is full: free some space there.*the same command goes on/)
    // What came until the disk was full is noted, too.
    expect(notedBytes()).toBeGreaterThan(10 * mebibyte)
    expect((await pull([source])).stderr).toMatch(/are missing, and .* has room for/)
    rmSync(join(disk, 'filler'))
    expect(await pull([source])).toMatchObject({ exitCode: 0, stderr: expect.not.stringContaining('full') as string })
  } finally {
    execFileSync('umount', [disk])
  }
})

test('a whole repository comes once, without its weights in other formats; a file of the web by its digest', async () => {
  const other = await startHub(repositoryFiles)
  try {
    const what = `hf:${repositoryName}@${commit}`
    const whole = await pull([what, '--json'], { HF_ENDPOINT: other.url })
    const { files, leftOut } = JSON.parse(whole.stdout) as { files: { path: string }[]; leftOut: { path: string }[] }
    expect(files.map(({ path }) => path)).toEqual(['config.json', 'tokenizer.json', 'empty.txt', 'model.safetensors'])
    expect(leftOut.map(({ path }) => path)).toEqual(['pytorch_model.bin', 'onnx/model.onnx'])
    const again = await pull([what], { HF_ENDPOINT: other.url, HF_HUB_OFFLINE: '1' })
    expect(again.stdout).toMatch(new RegExp(`Already here.*4 files\\.\n {2}.*@${commit}\n`))
  } finally {
    await other.close()
  }
  const url = `${hub.url}/${repositoryName}/resolve/${commit}/smoke.gguf`
  expect(await pull([`${url}@sha256:${sha256(smoke)}`])).toMatchObject({ exitCode: 0 })
  const wrong = await pull([`${url}@sha256:${sha256('x')}`])
  expect(wrong).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(/twice, with sha256/) as string })
  expect(await pull([url])).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('@sha256:') as string })
})

const version = 'dev-v1.0-smoke-fp16-p0'
const changed = 'dev-v1.1-smoke-fp16-p0'
/** From a file of another host. */
const published = 'dev-v1.3-smoke-fp16-p0'

/** What stands in the registry `mirror` of the spec, as it keeps it. */
function fillMirror(specText: object): void {
  const put = (path: string, content: Buffer | string): void => {
    mkdirSync(dirname(join(folder, 'mirror', path)), { recursive: true })
    writeFileSync(join(folder, 'mirror', path), content)
  }
  const file = { path: 'smoke.gguf', bytes: smoke.length, sha256: sha256(smoke) }
  put(blobPath(file.sha256), smoke)
  const mirrored = { schema: 1, bytes: file.bytes, sha256: file.sha256 }
  put(sourcePath({ repository: repositoryName, commit }, 'smoke.gguf'), JSON.stringify(mirrored))
  const reading = parseSpec(specText)
  if (!reading.ok) throw new Error(JSON.stringify(reading.problems))
  for (const own of reading.spec.versions) {
    const digest = sha256(artifactListing([file]))
    const identity = versionIdentity(reading.spec, { ...own, artifact: { from: `sha256:${digest}` } })
    put(
      versionPath(own.name),
      JSON.stringify({
        ...{ schema: 1, name: own.name, digest: sha256(identity), identity, from: own.artifact?.from },
        ...{ artifact: { digest, files: [file] }, publishedAt: '2026-11-22T00:00:00Z' },
      }),
    )
  }
}

test('a registry is asked first, a version must be what the spec says, and the agent serves from it without the hub', async () => {
  const from = `hf:${repositoryName}@${commit}:smoke.gguf`
  const engine = { kind: 'embedded', flags: { 'context-size': 512 } }
  const versionOf = (name: string, more: object = {}) => ({
    ...{ name, artifact: { from, registry: 'mirror' }, engine, replicas: [{ id: name }] },
    ...more,
  })
  const wrongFile = join(folder, 'wrong.gguf')
  writeFileSync(wrongFile, smoke)
  const spec = {
    apiVersion: 'holdfast/v1',
    registry: [{ name: 'mirror', kind: 'directory', path: './mirror', only: true }],
    versions: [
      versionOf(version),
      versionOf(changed),
      versionOf(published, { artifact: { from: `file:/nowhere.gguf@sha256:${sha256(smoke)}`, registry: 'mirror' } }),
      versionOf('dev-v1.2-smoke-fp16-p0', { artifact: { from: `file:${wrongFile}@sha256:${sha256('another')}` } }),
    ],
    models: [
      { name: 'near', live: version },
      { name: 'elsewhere', live: published },
      { name: 'wrong', live: 'dev-v1.2-smoke-fp16-p0' },
    ],
  }
  fillMirror({ ...spec, versions: spec.versions.slice(0, 3), models: spec.models.slice(0, 2) })
  const warmer = { ...spec.versions[1], sampling: { temperature: 0.5 } }
  const inSpec = { ...spec, versions: spec.versions.map(each => (each.name === changed ? warmer : each)) }
  const specFile = join(folder, 'holdfast.yaml')
  writeFileSync(specFile, JSON.stringify(inSpec))

  const asked = hub.seen.length
  const differs = await pull([changed, '--spec', specFile])
  expect(differs).toMatchObject({
    exitCode: 1,
    stderr: expect.stringMatching(/not what the spec says: sampling/) as string,
  })
  const missing = await pull([source, '--registry', 'mirror', '--spec', specFile])
  expect(missing).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(/holdfast model push hf:/) as string })
  expect(await pull([version, '--spec', specFile, '--json'])).toMatchObject({
    exitCode: 0,
    stdout: expect.stringContaining("the registry 'mirror'") as string,
  })
  rmSync(home, { recursive: true })

  const service = await startService({
    home,
    spec: JSON.stringify(inSpec).replace('./mirror', join(folder, 'mirror')),
    env: { HF_ENDPOINT: hub.url },
  })
  try {
    const { models } = JSON.parse(service.said.stdout) as { models: { name: string; status: string }[] }
    expect(models).toMatchObject([
      { name: 'near', status: 'loaded' },
      { name: 'elsewhere', status: 'loaded' },
      { name: 'wrong', status: 'unavailable' },
    ])
    const why = /wrong\.gguf can't be used: it has sha256 .*, and the spec says/
    await until('why is told', () => why.test(service.said.stderr))
  } finally {
    await service.stop()
  }
  expect(hub.seen).toHaveLength(asked)
})
