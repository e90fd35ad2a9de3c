import { expect, test } from 'vitest'
import { parseSpec } from '../domain/spec/index.ts'
import { versionName } from '../domain/units.ts'
import { toWishes } from './release-wishes.ts'

const wishes = (document: object) => {
  const reading = parseSpec(document)
  if (!reading.ok) throw new Error(JSON.stringify(reading.problems))
  return toWishes(reading.spec)
}
const [one, two] = ['dev-v1-a-q8-0-p0', 'dev-v2-a-q8-0-p0']
const smoke = { artifact: { from: 'builtin:smoke' }, engine: { kind: 'embedded' } }
const elsewhere = (id: string) => ({
  engine: { kind: 'vllm' },
  replicas: [{ id, url: 'http://10.0.0.2:8000/v1' }],
})

test('two names of the same weights are one identity; of engines that somebody else runs nobody knows', () => {
  const known = wishes({
    versions: [
      { name: one, ...smoke },
      { name: two, ...smoke },
    ],
  })
  expect(known.identityOf(versionName(one))).toBe(known.identityOf(versionName(two)))
  const unknown = wishes({
    versions: [
      { name: one, ...elsewhere('a') },
      { name: two, ...elsewhere('b') },
    ],
  })
  expect(unknown.identityOf(versionName(one))).not.toBe(unknown.identityOf(versionName(two)))
})

test('a wish is another one when the version that it asks for, or what it must prove, is', () => {
  const asked = (more: object) =>
    wishes({
      versions: [{ name: one, ...smoke }],
      models: [{ name: 'chat', live: one, release: 'quick' }],
      releases: { quick: more },
    }).models[0]?.digest
  expect(asked({})).toBe(asked({}))
  expect(asked({ smoke: {} })).not.toBe(asked({}))
})
