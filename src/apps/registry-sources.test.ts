import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { commit, repositoryName, startHub, type Hub } from '../../test/support/hub.ts'
import type { HubSource } from '../domain/catalog/index.ts'
import type { SpecRegistry } from '../domain/spec/index.ts'
import { hubFilesFrom } from './registry-sources.ts'

const source: HubSource = { kind: 'hf', repository: repositoryName, commit, file: 'm.gguf' }
const { signal } = new AbortController()

let hub: Hub
let folder: string
beforeAll(async () => {
  hub = await startHub({ 'm.gguf': Buffer.from('GGUF and more') })
})
afterAll(() => hub.close())
beforeEach(() => {
  hub.seen.length = 0
  folder = mkdtempSync(join(tmpdir(), 'hf-sources-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const locate = (registry: SpecRegistry | null, env: Record<string, string>) =>
  hubFilesFrom(registry, { env, tell: () => {} }).locate(source, 'm.gguf', signal)
const tokens = (): (string | null)[] => hub.seen.map(({ authorization }) => authorization)

const otherHub = (): SpecRegistry => ({ name: 'near', kind: 'hugging-face', url: hub.url, only: false })
const mirror = (more: Partial<SpecRegistry> = {}): SpecRegistry => ({
  ...{ name: 'mirror', kind: 'directory', path: folder, only: false },
  ...more,
})

test('another hub is asked with the token that the spec gives for it, and never with that of the usual one', async () => {
  await locate(otherHub(), { HF_TOKEN: 'hf_usual' })
  await locate({ ...otherHub(), token: '${env:NEAR}' }, { HF_TOKEN: 'hf_usual', NEAR: 'hf_near' })
  expect(tokens()).toEqual([null, 'Bearer hf_near'])
})

test('a token that is not there is told with its registry', () => {
  expect(() => hubFilesFrom({ ...otherHub(), token: '${env:NEAR}' }, { env: {}, tell: () => {} })).toThrow(
    /registry 'near' can't be opened: its token \$\{env:NEAR\}: the environment variable NEAR is not set/,
  )
})

test('what a registry has not comes from the hub, unless it may not be asked', async () => {
  const usual = { HF_ENDPOINT: hub.url }
  expect(await locate(mirror(), usual)).toMatchObject({ path: 'm.gguf', repository: repositoryName })
  const asked = hub.seen.length
  await expect(locate(mirror({ only: true }), usual)).rejects.toThrow(/only: true.*holdfast model push/)
  await expect(locate(mirror(), { ...usual, HF_HUB_OFFLINE: '1' })).rejects.toThrow(/HF_HUB_OFFLINE.*model push/)
  expect(hub.seen).toHaveLength(asked)
})
