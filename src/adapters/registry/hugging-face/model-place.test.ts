import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { commit, repositoryName, startHub, type Hub } from '../../../../test/support/hub.ts'
import { openHubPlace, type HubSettings } from './index.ts'

const bytes = Buffer.from('0123456789abcdef')
const { signal } = new AbortController()

let hub: Hub
beforeAll(async () => {
  hub = await startHub({ 'm.gguf': bytes, 'onnx/config.json': Buffer.from('{}') })
})
afterAll(() => hub.close())
beforeEach(() => {
  hub.behave({})
  hub.seen.length = 0
})

const open = (settings: Partial<HubSettings> = {}, revision = 'main') =>
  openHubPlace(
    { endpoint: hub.url, token: null, offline: false, ...settings },
    { repository: repositoryName, revision, file: 'm.gguf' },
    signal,
  )

test('a branch is told as its commit, and files are listed with their sizes', async () => {
  const place = await open()
  expect(place.name).toBe(`hf:${repositoryName}@${commit}:m.gguf`)
  expect(await place.list()).toEqual([
    { path: 'm.gguf', bytes: 16 },
    { path: 'onnx/config.json', bytes: 2 },
  ])
  expect(await place.open('gone')).toBe(null)
})

test('a range is asked for, of the storage without the token, and no more is sent', async () => {
  const place = await open({ token: 'hf_canary' })
  const file = await place.open('m.gguf')
  const before = hub.sent()
  expect(file?.bytes).toBe(16)
  expect(Buffer.from((await file?.read(10, 4)) ?? []).toString()).toBe('abcd')
  expect(Buffer.from((await file?.read(14, 400)) ?? []).toString()).toBe('ef')
  expect(hub.sent() - before).toBe(6)
  expect(
    hub.seen.filter(({ at }) => at === 'storage').map(({ range, authorization }) => [range, authorization]),
  ).toEqual([
    ['bytes=10-13', null],
    ['bytes=14-15', null],
  ])
})

test('a storage without ranges is read past what is before', async () => {
  hub.behave({ ignoresRange: true })
  const file = await (await open()).open('m.gguf')
  expect(Buffer.from((await file?.read(10, 4)) ?? []).toString()).toBe('abcd')
})

test('what the hub refuses is told in its words', async () => {
  hub.behave({ gatedFor: 'somebody' })
  await expect(open()).rejects.toThrow(/is gated: ask for access/)
  hub.behave({})
  await expect(open({}, 'gone')).rejects.toThrow(/has no commit gone/)
  await expect(open({ offline: true })).rejects.toThrow(/HF_HUB_OFFLINE is set/)
})

test('a cut is worth another try', async () => {
  const file = await (await open()).open('m.gguf')
  hub.behave({ failWith: [{ at: 'storage', status: 503 }] })
  await expect(file?.read(0, 4)).rejects.toMatchObject({ retry: 'soon' })
  expect(Buffer.from((await file?.read(0, 4)) ?? []).toString()).toBe('0123')
})
