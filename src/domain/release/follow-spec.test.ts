import { expect, test } from 'vitest'
import { modelName, versionName } from '../units.ts'
import { followSpec, type Known, type Wish } from './follow-spec.ts'

const model = modelName('coder')
const [a, b, c] = ['dev-v1-a-q8-0-p0', 'dev-v2-a-q8-0-p0', 'dev-v3-a-q8-0-p0'].map(versionName) as [
  ReturnType<typeof versionName>,
  ReturnType<typeof versionName>,
  ReturnType<typeof versionName>,
]
const wish = (more: Partial<Wish> = {}): Wish => ({ model, live: b, guarded: true, digest: 'd2', ...more })
const known = (more: Partial<Known> = {}): Known => ({
  real: { model, live: a, asked: { live: a, digest: 'd1' } },
  underway: null,
  has: () => true,
  ...more,
})
const underway = { from: a, to: b, phase: 'canary' as const }

test('a model that is new is served as the spec says', () => {
  const real = { model, live: b, asked: { live: b, digest: 'd2' } }
  expect(followSpec(wish(), known({ real: null }))).toEqual({ do: 'serve', real })
})

test('another live version has to prove itself where the model has a policy, and is served at once where it has none', () => {
  expect(followSpec(wish(), known())).toEqual({ do: 'start', from: a, to: b, endFirst: null })
  expect(followSpec(wish({ guarded: false }), known())).toMatchObject({ do: 'serve', real: { live: b } })
})

test('the same wish is tried once, and a changed one again', () => {
  const real = { model, live: a, asked: { live: b, digest: 'd2' } }
  const answer = followSpec(wish(), known({ real }))
  expect(answer).toMatchObject({ do: 'nothing', diverged: expect.stringContaining(`set its live to ${a}`) as string })
  expect(followSpec(wish({ digest: 'd3' }), known({ real }))).toMatchObject({ do: 'start', to: b })
  expect(followSpec(wish({ live: c, digest: 'd4' }), known({ real }))).toMatchObject({ do: 'start', from: a, to: c })
})

test('a wish that was taken back may be made again', () => {
  const real = { model, live: a, asked: { live: b, digest: 'd2' } }
  const back = followSpec(wish({ live: a, digest: 'd1' }), known({ real }))
  expect(back).toEqual({ do: 'serve', real: { model, live: a, asked: { live: a, digest: 'd1' } } })
  expect(followSpec(wish(), known())).toMatchObject({ do: 'start', to: b })
})

test('what a command promoted stays, whatever else of the model changes, until the spec names another version', () => {
  const real = { model, live: b, asked: { live: a, digest: null } }
  expect(followSpec(wish({ live: a, digest: 'd9' }), known({ real }))).toMatchObject({
    do: 'nothing',
    diverged: expect.stringContaining(`set its live to ${b}`) as string,
  })
  expect(followSpec(wish({ live: b }), known({ real }))).toMatchObject({ do: 'serve', real: { live: b } })
  expect(followSpec(wish({ live: c }), known({ real }))).toMatchObject({ do: 'start', from: b, to: c })
})

test('while a release is under way the spec may ask for it, for the old version again, or for a third', () => {
  const real = { model, live: a, asked: { live: b, digest: 'd2' } }
  const state = known({ real, underway })
  expect(followSpec(wish(), state)).toEqual({ do: 'nothing', diverged: null })
  expect(followSpec(wish({ digest: 'policy changed' }), state)).toEqual({ do: 'nothing', diverged: null })
  expect(followSpec(wish({ live: a, digest: 'd1' }), state)).toMatchObject({ do: 'end' })
  const third = followSpec(wish({ live: c, digest: 'd3' }), state)
  expect(third).toMatchObject({ do: 'start', from: a, to: c, endFirst: expect.stringContaining(b) as string })
})

test('a release by command goes on while the spec says what it always said', () => {
  expect(followSpec(wish({ live: a, digest: 'd1' }), known({ underway }))).toEqual({ do: 'nothing', diverged: null })
})

test('the version that answers can’t be taken out of the spec while it does', () => {
  const without = { has: (version: string) => version !== a }
  expect(followSpec(wish(), known(without))).toMatchObject({
    do: 'refuse',
    problem: expect.stringContaining(a) as string,
  })
  const real = { model, live: a, asked: { live: b, digest: 'd2' } }
  expect(followSpec(wish(), known({ ...without, real }))).toMatchObject({ do: 'refuse' })
})
