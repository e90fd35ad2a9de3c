/** Plans as people read them. Written anew with `vitest -u`, and read before they are kept. */
import { globSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { readSpecFile } from '../../adapters/spec-file/index.ts'
import { openLocalPlace } from '../../adapters/model-files/index.ts'
import { withDefaults } from '../../domain/spec/index.ts'
import { inspectModel } from '../../services/inspect-model.ts'
import { planSpec, profileOf, type PlanPorts } from '../../services/plan-spec.ts'
import { renderPlan } from './plan/render.ts'

const gibi = 1024 ** 3

/** As the command has them, on a machine with no weights but those that come with Holdfast. */
const ports: PlanPorts = {
  readFacts: async source =>
    source.kind === 'builtin'
      ? inspectModel({
          place: await openLocalPlace('weights/smoke/smoke.gguf'),
          allowedImports: new Set(),
          signal: new AbortController().signal,
        })
      : null,
  resolvePath: path => path,
  profiles: [],
  memoryHere: 16 * gibi,
}

async function specAt(path: string) {
  const read = await readSpecFile(path)
  if (!read.ok) throw new Error(JSON.stringify(read.problems))
  return withDefaults(read.spec)
}

const planned = ['examples/two-gpu-machine/holdfast.yaml', ...globSync('examples/plans/*/holdfast.yaml').toSorted()]

test.each(planned)('%s is planned as it was read', async path => {
  const plan = await planSpec(await specAt(path), ports)
  await expect(`${renderPlan(plan, { explain: false })}\n`).toMatchFileSnapshot(
    join('../../..', dirname(path), 'plan.txt'),
  )
})

test.each(planned)('%s: the numbers that --explain prints add up to what it prints as used', async path => {
  const lines = renderPlan(await planSpec(await specAt(path), ports), { explain: true }).split('\n')
  const toNumber = (text: string | undefined): number => Number((text ?? '').replaceAll(',', ''))
  let sum = 0
  let sums = 0
  for (const line of lines) {
    sum += toNumber(/^ {6} *([\d,]+) {2}(?:weights|kv|compute|overhead) /.exec(line)?.[1])
    const said = /^ {4}\d+ parts?, \d+ lines: ([\d,]+) bytes$/.exec(line)?.[1]
    if (said === undefined) continue
    expect(sum).toBe(toNumber(said))
    sum = 0
    sums++
  }
  expect(sum).toBe(0)
  if (!path.includes('qwen3-235b')) expect(sums).toBeGreaterThan(0)
})

test('an empty spec is planned on this machine', async () => {
  const plan = await planSpec(await specAt('examples/empty/holdfast.yaml'), ports)
  expect(plan.refusals).toEqual([])
  expect(plan.hosts.map(host => host.name)).toEqual(['here'])
  expect(plan.replicas).toMatchObject([{ replica: 'smoke', certainty: 'read' }])
})

test('what an engine logged is used for that replica, and cited', async () => {
  const spec = await specAt('examples/two-gpu-machine/holdfast.yaml')
  const log = 'INFO Model loading took 64.3800 GiB and 41.2 seconds\nINFO Available KV cache memory: 1.62 GiB\n'
  const profile = await profileOf(spec, ports, { replica: 'general-a', log, source: 'general.log' })
  const { hosts } = await planSpec(spec, { ...ports, profiles: [profile] })
  const part = hosts[0]?.gpus[0]?.parts.find(each => each.replica === 'general-a')
  expect((part?.weightsBytes ?? 0) / gibi).toBeCloseTo(64.38, 2)
  expect((part?.kvBytes ?? 0) / gibi).toBeCloseTo(1.62, 2)
  expect(part?.lines.some(({ source }) => source === 'measured: general.log')).toBe(true)
})

test('a log of another program, and a replica that is not there, are refused with what to do', async () => {
  const spec = await specAt('examples/two-gpu-machine/holdfast.yaml')
  const ask = (replica: string) => profileOf(spec, ports, { replica, log: 'hello', source: 'hello.log' })
  await expect(ask('general-a')).rejects.toThrow(/hello.log has no line of llama.cpp's/)
  await expect(ask('general-x')).rejects.toThrow(/the spec has coder-a, general-a, embed-a/)
})
