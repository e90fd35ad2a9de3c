/** `holdfast plan` as a person runs it. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { repository, runCli, startService } from '../support/service.ts'

const Part = z.looseObject({
  version: z.string(),
  replica: z.string(),
  weightsBytes: z.number(),
  kvBytes: z.number(),
  computeBytes: z.number(),
  overheadBytes: z.number(),
})
const Plan = z.looseObject({
  hosts: z.array(
    z.looseObject({
      name: z.string(),
      gpus: z.array(
        z.looseObject({ id: z.string(), capacityBytes: z.number(), usedBytes: z.number(), parts: z.array(Part) }),
      ),
      ram: z.looseObject({ capacityBytes: z.number().nullable(), usedBytes: z.number(), parts: z.array(Part) }),
    }),
  ),
  refusals: z.array(
    z.looseObject({
      version: z.string(),
      replica: z.string(),
      why: z.string(),
      counterfactuals: z.array(z.looseObject({ change: z.string() })),
    }),
  ),
  commands: z.array(
    z.looseObject({ replica: z.string(), argv: z.array(z.string()), env: z.record(z.string(), z.string()) }),
  ),
})

let home = ''
beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'holdfast-plan-'))
})
afterAll(() => rmSync(home, { recursive: true, force: true }))

const plan = (...argv: string[]) => runCli(['plan', ...argv], { ...process.env, HOLDFAST_HOME: home })
const example = (name: string): string => join(repository, 'examples', name, 'holdfast.yaml')

test('the two-GPU machine fits: exit 0, and what it prints as JSON adds up', async () => {
  const answer = await plan(example('two-gpu-machine'), '--json')
  expect(answer.exitCode).toBe(0)
  const { hosts, refusals, commands } = Plan.parse(JSON.parse(answer.stdout))
  expect(refusals).toEqual([])
  expect(hosts.map(host => host.gpus.map(gpu => gpu.parts.map(part => part.replica)))).toEqual([
    [['coder-a', 'general-a'], ['embed-a']],
  ])
  for (const { usedBytes, capacityBytes, parts } of hosts.flatMap(host => host.gpus)) {
    const sum = parts.reduce(
      (all, part) => all + part.weightsBytes + part.kvBytes + part.computeBytes + part.overheadBytes,
      0,
    )
    expect(sum).toBe(usedBytes)
    expect(usedBytes).toBeLessThanOrEqual(capacityBytes)
  }
  expect(commands.map(({ replica }) => replica)).toEqual(['coder-a', 'general-a', 'embed-a'])
})

test('235 billion parameters do not fit: exit 1, why, and what would make them fit', async () => {
  const answer = await plan(example('plans/qwen3-235b'))
  expect(answer.exitCode).toBe(1)
  expect(answer.stdout).toBe(readFileSync(join(repository, 'examples/plans/qwen3-235b/plan.txt'), 'utf8'))
  expect(answer.stdout).toMatch(/with --n-cpu-moe 35, experts of 35 layers in RAM/)
})

test('a profile that is imported from a log is used and cited from then on', async () => {
  const spec = join(home, 'holdfast.yaml')
  const log = join(home, 'big.log')
  writeFileSync(spec, readFileSync(example('plans/one-24gb-card'), 'utf8'))
  writeFileSync(
    log,
    'load_tensors: loading model tensors\nload_tensors:        CUDA0 model buffer size =  8000.00 MiB\n',
  )
  const kept = await runCli(['profile', 'import', log, '--replica', 'small', '--spec', spec], {
    ...process.env,
    HOLDFAST_HOME: home,
  })
  expect(kept).toMatchObject({ exitCode: 0 })
  const { stdout } = await plan(spec, '--explain')
  expect(stdout).toMatch(/8,388,608,000 {2}weights .*\[measured: big\.log\]/)
})

test.each([
  ['a spec that is not there', ['nowhere.yaml'], 1],
  ['profiles that are none', [example('empty'), '--measured', example('empty')], 1],
])('%s', async (_name, argv, exitCode) => {
  const answer = await plan(...argv)
  expect(answer.exitCode).toBe(exitCode)
  expect(answer.stderr).not.toBe('')
  expect(answer.stderr).not.toContain('    at ')
})

const StatusAnswer = z.looseObject({ processes: z.array(z.looseObject({ role: z.string(), pid: z.number() })) })

test('the embedded engine takes what is planned for it, the process and all', async () => {
  const answer = await plan(example('empty'), '--json')
  const planned = Plan.parse(JSON.parse(answer.stdout)).hosts[0]?.ram.usedBytes ?? 0
  const service = await startService()
  try {
    const ask = { model: 'smoke', messages: [{ role: 'user', content: 'Tell me a story.' }], max_tokens: 16 }
    expect((await service.call('/v1/chat/completions', ask)).status).toBe(200)
    const status = await service.cli('status', '--json')
    const { processes } = StatusAnswer.parse(JSON.parse(status.stdout))
    const pid = processes.find(({ role }) => role === 'engine')?.pid ?? 0
    const [, kib] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
    const real = Number(kib) * 1024
    const error = ((100 * (planned - real)) / real).toFixed(1)
    process.stdout.write(
      `embedded engine, smoke: planned ${(planned / 1024 ** 2).toFixed(1)} MiB, measured ${(real / 1024 ** 2).toFixed(1)} MiB, ${error} %\n`,
    )
    expect(Math.abs(planned - real) / real).toBeLessThan(0.25)
  } finally {
    await service.stop()
  }
})
