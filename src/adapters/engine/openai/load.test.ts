import { expect, test } from 'vitest'
import { readLoad, type LoadNames } from './load.ts'

const names: LoadNames = {
  running: [{ name: 'run' }],
  waiting: [{ name: 'wait' }],
  kvUse: [{ name: 'kv_new' }, { name: 'kv_old' }],
  promptTokens: [{ name: 'tokens', labels: { kind: 'prompt' } }],
  generatedTokens: [],
}

test('what an engine does not tell is null, and an engine that tells nothing has no load', () => {
  expect(readLoad('run 2\n', names, null)).toEqual({
    running: 2,
    waiting: null,
    kvUse: null,
    promptTokens: null,
    generatedTokens: null,
  })
  expect(readLoad('other 2\n', names, null)).toBeNull()
  expect(readLoad('<html>', names, null)).toBeNull()
  expect(readLoad('run NaN\nwait +Inf\n', names, null)).toBeNull()
})

test('an older name counts only where the newer one is missing; labels narrow a name', () => {
  expect(readLoad('kv_old 0.9\nkv_new 0.2\n', names, null)?.kvUse).toBe(0.2)
  expect(readLoad('kv_old 0.9\n', names, null)?.kvUse).toBe(0.9)
  expect(readLoad('tokens{kind="prompt"} 5\ntokens{kind="cached"} 50\n', names, null)?.promptTokens).toBe(5)
})

test('parts of an engine add up, and the fullest cache counts, as a share', () => {
  const text = 'run{engine="0"} 2\nrun{engine="1"} 3\nkv_new{engine="0"} 0.25\nkv_new{engine="1"} 0.75\n'
  expect(readLoad(text, names, null)).toMatchObject({ running: 5, kvUse: 0.75 })
  expect(readLoad('kv_new 1.5\n', names, null)?.kvUse).toBe(1)
  expect(readLoad('kv_new -0.1\n', names, null)?.kvUse).toBe(0)
})

test('processes that report the same work are counted once', () => {
  const text = [0, 1, 2, 3].map(rank => `run{dp_rank="${rank >> 1}",tp_rank="${rank}"} ${3 + rank}\n`).join('')
  expect(readLoad(text, names, null)?.running).toBe(18)
  expect(readLoad(text, { ...names, sameWork: ['tp_rank'] }, null)?.running).toBe(4 + 6)
})

test('of several models the served one counts, and all of them when none is', () => {
  const text = 'run{model_name="mine"} 2\nrun{model_name="other"} 3\n'
  expect(readLoad(text, names, 'mine')?.running).toBe(2)
  expect(readLoad(text, names, 'unheard-of')?.running).toBe(5)
  expect(readLoad(text, names, null)?.running).toBe(5)
})
