import { expect, test } from 'vitest'
import { instant } from '../domain/units.ts'
import type { FlagSetting } from '../domain/serving/index.ts'
import { openFlags } from './set-flags.ts'

async function open() {
  const kept = new Map<string, FlagSetting>()
  let served = 0
  const flags = await openFlags({
    store: {
      settings: async () => [...kept.values()],
      set: async setting => void kept.set(setting.name, setting),
      reset: async name => kept.delete(name),
    },
    spec: () => ({
      flags: [{ name: 'fast', teams: ['dev'], share: 0.5, answers: { model: 'coder', by: 'coder-fast' } }],
      teams: ['dev', 'ops'],
    }),
    serve: async () => void served++,
    now: () => instant(7),
  })
  return { flags, kept, served: () => served }
}

test('a flag is as the spec says until somebody sets it, and again after it is reset', async () => {
  const { flags, kept, served } = await open()
  expect(flags.list()).toMatchObject([{ name: 'fast', share: 0.5, spec: null, setAt: null }])
  const set = await flags.set('fast', { share: 0.1 })
  expect(set).toMatchObject({ share: 0.1, teams: ['dev'], spec: { share: 0.5, teams: ['dev'] }, setAt: 7 })
  expect(await flags.set('fast', { teams: ['ops'] })).toMatchObject({ share: 0.1, teams: ['ops'] })
  expect(kept.size).toBe(1)
  expect(await flags.reset('fast')).toMatchObject({ share: 0.5, spec: null })
  expect([kept.size, served()]).toEqual([0, 3])
})

test('flags and teams that the spec does not have are refused, and nothing is changed', async () => {
  const { flags, served } = await open()
  await expect(flags.set('slow', { share: 1 })).rejects.toMatchObject({ fault: { kind: 'not-found', what: 'flag' } })
  await expect(flags.set('fast', { teams: ['nobody'] })).rejects.toMatchObject({ fault: { what: 'team' } })
  expect(served()).toBe(0)
})
