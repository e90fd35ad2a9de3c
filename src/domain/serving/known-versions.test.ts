import { expect, test } from 'vitest'
import { parseSpec, withDefaults, type Spec } from '../spec/index.ts'
import { changedMeanings, learnVersions } from './known-versions.ts'

const name = 'production-v2.1-m-8b-fp16-p1'

function specOf({ text = 'Be brief.', weight = 1, live = true, sampling = {}, more = [] as string[] } = {}): Spec {
  const version = (each: string, at: number) => ({
    name: each,
    engine: { kind: 'vllm' },
    sampling,
    replicas: [{ id: `r${at}`, url: `http://127.0.0.1:${9 + at}/v1`, weight }],
  })
  const other = 'dev-v1.0-m-8b-fp16-p0'
  const reading = parseSpec({
    prompts: { p1: { text } },
    versions: [name, other, ...more].map(version),
    models: [{ name: 'm', live: live ? name : other }],
  })
  if (!reading.ok) throw new Error(JSON.stringify(reading.problems))
  return withDefaults(reading.spec)
}

const none = new Set<string>()

test('a version that was served keeps its meaning: the difference and the next free name are told', () => {
  const known = learnVersions({}, specOf())
  const [problem, ...others] = changedMeanings(specOf({ text: 'Be long.' }), known, none)
  expect(others).toEqual([])
  expect(problem).toContain('prompt.text was "Be brief." and is "Be long."')
  expect(problem).toContain('production-v2.2-m-8b-fp16-p1')
})

test('the next name passes over those that are taken', () => {
  const known = learnVersions({}, specOf())
  const spec = specOf({ text: 'Be long.', more: ['production-v2.2-m-8b-fp16-p1'] })
  expect(changedMeanings(spec, known, none)[0]).toContain('free: production-v2.3-m-8b-fp16-p1')
})

test('replicas and weights are no part of the meaning; sampling that comes or goes is', () => {
  const known = learnVersions({}, specOf())
  expect(changedMeanings(specOf({ weight: 7 }), known, none)).toEqual([])
  expect(changedMeanings(specOf({ sampling: { temperature: 0 } }), known, none)[0]).toContain(
    'sampling.temperature was not set and is 0',
  )
})

test('a version that no model pointed at may still change, and so may what a flag made', () => {
  const known = learnVersions({}, specOf({ live: false }))
  expect(changedMeanings(specOf({ text: 'Be long.' }), known, none)).toEqual([])
  expect(changedMeanings(specOf({ text: 'Be long.' }), learnVersions({}, specOf()), new Set([name]))).toEqual([])
})

test('what only one release counts as identity is not compared', () => {
  const known = learnVersions({}, specOf())
  const older = JSON.parse(known[name] ?? '') as Record<string, unknown>
  delete older['chatTemplate']
  expect(changedMeanings(specOf(), { [name]: JSON.stringify({ ...older, gone: 1 }) }, none)).toEqual([])
})
