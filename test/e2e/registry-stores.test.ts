/** `holdfast model push`, `verify`, `list`, `prune` and `pull` over stores that are not folders: S3 (moto), and Nexus as it is documented. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startFakeNexus, type FakeNexus } from '../../tools/fake-nexus/index.ts'
import { s3Interpreter, startS3, type S3Server } from '../support/s3/server.ts'
import { repository, runCli, type CliAnswer } from '../support/service.ts'

const interpreter = s3Interpreter()
const smoke = join(repository, 'weights/smoke/smoke.gguf')
const version = 'production-v1.0-smoke-q8-0-p0'
const token = 'ada:canary-token'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-stores-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** A host with a spec of its own, which names one registry. */
function openHost(name: string, store: { kind: string; url: string; temperature?: number }) {
  const home = join(folder, name)
  mkdirSync(home, { recursive: true })
  const spec = join(home, 'holdfast.yaml')
  writeFileSync(
    spec,
    `apiVersion: holdfast/v1
name: stores
registry:
  - { name: main, kind: ${store.kind}, url: "${store.url}", token: "\${env:STORE_TOKEN}" }
versions:
  - name: ${version}
    artifact: { from: "file:${smoke}", registry: main }
    engine: { kind: embedded }
    sampling: { temperature: ${store.temperature ?? 0.2} }
`,
  )
  const env = { ...process.env, HOLDFAST_HOME: home, STORE_TOKEN: token, HF_HUB_OFFLINE: '1' }
  return (...args: string[]): Promise<CliAnswer> => runCli(['model', ...args, '--spec', spec], env)
}

/** What two hosts do with one store. Returns all that was said. */
async function publishAndFetch(name: string, store: { kind: string; url: string }): Promise<string> {
  const [one, other] = [openHost(`${name}-one`, store), openHost(`${name}-other`, { ...store, temperature: 0.9 })]
  const [mine, theirs] = await Promise.all([one('push', version), other('push', version)])
  // Two meanings of one name at one moment: exactly one is published, and the other is told what differs.
  expect([mine.exitCode, theirs.exitCode].toSorted(), mine.stderr + theirs.stderr).toEqual([0, 1])
  const [winner, loser] = mine.exitCode === 0 ? [one, theirs] : [other, mine]
  expect(loser.stdout + loser.stderr).toContain('production-v1.1-smoke-q8-0-p0')

  const again = await winner('push', version, '--json')
  expect(again.exitCode, again.stderr).toBe(0)
  const verified = await winner('verify', '--registry', 'main')
  expect(verified.exitCode, verified.stdout + verified.stderr).toBe(0)
  const listed = await winner('list', '--registry', 'main')
  expect(listed.stdout).toContain(version)
  const pruned = await winner('prune', '--registry', 'main', '--sources', '--yes')
  expect(pruned.exitCode, pruned.stderr).toBe(0)
  const pulled = await winner('pull', version)
  expect(pulled.exitCode, pulled.stderr).toBe(0)
  const path = join(folder, `${name}-${winner === one ? 'one' : 'other'}`, 'artifacts/versions', version, 'smoke.gguf')
  expect(readFileSync(path).equals(readFileSync(smoke))).toBe(true)
  return [mine, theirs, again, verified, listed, pruned, pulled].map(({ stdout, stderr }) => stdout + stderr).join('')
}

describe.skipIf(interpreter === null)('S3', () => {
  let server: S3Server
  beforeAll(async () => {
    if (interpreter !== null) server = await startS3(interpreter)
  })
  afterAll(() => server.close())

  test('a version is published in a bucket once, verified and fetched; no key is said', async () => {
    const said = await publishAndFetch('s3', { kind: 's3', url: `${server.bucket}/team` })
    expect(said).not.toContain('canary')
    expect(said).not.toContain('If-None-Match')
  })
})

describe('Nexus', () => {
  let nexus: FakeNexus
  beforeAll(async () => {
    nexus = await startFakeNexus({ user: token })
  })
  afterAll(() => nexus.close())

  test('a version is published in a raw repository once, verified and fetched; no password is said', async () => {
    const said = await publishAndFetch('nexus', { kind: 'nexus', url: `${nexus.url}/team` })
    expect(said).not.toContain('canary')
    expect(said).not.toContain('Disable redeploy')
    expect([...nexus.objects.keys()].filter(path => path.startsWith('team/versions/'))).toHaveLength(1)
  })
})
