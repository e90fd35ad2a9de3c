/** `holdfast eval run` as people and CI call it, on the real smoke model. What needs no process: src/apps/cli/eval/. */
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { startFakeEngine, type FakeEngine, type FakeEngineOptions } from '../../tools/fake-engine/index.ts'
import { repository, startService, type Service } from '../support/service.ts'

const hasPython = spawnSync('python3', ['-c', 'import xml.etree']).status === 0
const folder = mkdtempSync(join(tmpdir(), 'holdfast-eval-'))
const smokeSet = join(repository, 'examples/golden/smoke.jsonl')
const steady = ['--temperature', '0', '--seed', '3']

const Results = z.object({
  format: z.literal('holdfast.eval/1'),
  model: z.string(),
  outcome: z.object({
    verdict: z.string(),
    reasons: z.array(z.string()),
    warnings: z.array(z.string()),
    arms: z.object({
      candidate: z.object({ passed: z.number(), measured: z.number(), stability: z.number().nullable() }),
    }),
    difference: z.object({ mean: z.number(), smallestSeen: z.number() }).nullable(),
  }),
  judge: z.object({ pin: z.object({ judge: z.string(), temperature: z.literal(0) }) }).nullable(),
  versions: z.object({ candidate: z.array(z.string()) }),
  rows: z.array(z.object({ id: z.string(), candidate: z.array(z.object({ kind: z.string() })) })),
})

let service: Service
const engines: FakeEngine[] = []

beforeAll(async () => {
  service = await startService()
})
afterAll(async () => {
  await service?.stop()
  for (const engine of engines) await engine.close()
  rmSync(folder, { recursive: true, force: true })
})

function setOf(name: string, ...cases: object[]): string {
  const path = join(folder, name)
  writeFileSync(path, cases.map((each, i) => JSON.stringify({ id: `c${i}`, ...each })).join('\n'))
  return path
}
const asking = (content: string) => [{ role: 'user', content }]

async function start(options: FakeEngineOptions): Promise<FakeEngine> {
  const engine = await startFakeEngine({ name: 'fake', ...options })
  engines.push(engine)
  return engine
}

describe('the smoke model', () => {
  test('passes the set that it can answer, beside itself, and the run is kept for the next one', async () => {
    const kept = join(folder, 'kept.json')
    const run = await service.cli(
      'eval',
      'run',
      smokeSet,
      '--model',
      'smoke',
      '--against',
      'smoke',
      ...steady,
      '--out',
      kept,
    )
    expect(run.stdout).toContain('Verdict: pass.')
    expect(run.stdout).toContain('The smallest regression that this run could see: 27.3 %')
    expect(run.stderr).toContain('22 of 22 answers')
    expect(run.exitCode).toBe(0)

    const next = await service.cli('eval', 'run', smokeSet, '--model', 'smoke', '--baseline', kept, ...steady, '--json')
    const results = Results.parse(JSON.parse(next.stdout))
    expect(results).toMatchObject({ outcome: { verdict: 'pass' }, judge: null })
    expect(results.versions.candidate).toEqual(['dev-v1.0-smoke-2m-q8-0-p0'])
    expect(results.rows).toHaveLength(11)
    expect(next.exitCode).toBe(0)
  })

  test('fails a set that it can’t answer; JUnit and JSON say which cases and why', async () => {
    const hard = setOf(
      'hard.jsonl',
      { messages: asking('What is the capital of France?'), expect: { contains: 'Paris' } },
      {
        messages: asking('Prove that there are infinitely many primes. <&">'),
        critical: true,
        expect: { contains: 'prime' },
      },
    )
    const junit = join(folder, 'eval.xml')
    const run = await service.cli(
      'eval',
      'run',
      hard,
      '--model',
      'smoke',
      ...steady,
      '--repeats',
      '2',
      '--junit',
      junit,
      '--json',
    )
    expect(run.exitCode).toBe(1)
    const { outcome } = Results.parse(JSON.parse(run.stdout))
    expect(outcome).toMatchObject({ verdict: 'fail', arms: { candidate: { passed: 1, measured: 2 } } })
    expect(outcome.reasons.join()).toContain('critical cases fail: c1')

    const xml = readFileSync(junit, 'utf8')
    expect(xml).toMatch(/<testcase name="c0" classname="smoke" time="[\d.]+"\/>/)
    expect(xml).toMatch(/<testcase name="c1" .*<failure message="contains: /)
    expect(xml).toContain('<testcase name="verdict"')
  })

  test.skipIf(!hasPython)('what it writes for JUnit is XML', () => {
    const script =
      'import sys, xml.etree.ElementTree as t; r = t.parse(sys.argv[1]).getroot(); print(r.tag, r.get("failures"), len(r.findall(".//testcase")))'
    expect(execFileSync('python3', ['-c', script, join(folder, 'eval.xml')], { encoding: 'utf8' }).trim()).toBe(
      'testsuites 2 3',
    )
  })
})

test('wrong usage is exit code 2: mistakes in the set by file and line, and a model that is not there', async () => {
  const path = setOf('bad.jsonl', { messages: asking('x'), expect: { regx: 'x' } }, { id: 'c0', messages: [] })
  const bad = await service.cli('eval', 'run', path, '--model', 'smoke')
  expect(bad.stderr).toContain(`${path}:1: expect: unknown check 'regx'`)
  expect(bad.stderr).toContain(`${path}:2: messages must be a list`)
  expect(bad.stderr).toContain(`${path}:2: the id 'c0' is taken by line 1`)
  const mistyped = await service.cli('eval', 'run', smokeSet, '--model', 'smok')
  expect(mistyped.stderr).toContain("has no model 'smok' for this key; it has smoke")
  expect([bad.exitCode, mistyped.exitCode]).toEqual([2, 2])
})

test('the admin key of this state folder goes to no other address', async () => {
  const engine = await start({})
  await service.cli('eval', 'run', smokeSet, '--url', engine.url, '--model', 'fake')
  for (const { headers } of engine.state().lastRequests) expect(headers.authorization).toBeUndefined()
  expect(engine.state().received).toBeGreaterThan(0)
})

test('Ctrl-C ends the engine’s work, and there is no verdict and no file', async () => {
  const engine = await start({ hang: true })
  const out = join(folder, 'stopped.json')
  const args = ['eval', 'run', smokeSet, '--url', engine.url, '--model', 'fake', '--out', out]
  const child = spawn(join(repository, 'bin/holdfast'), args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text))
  const ended = new Promise(resolve => child.once('close', resolve))
  await engine.until(state => state.running === 4, 20_000)
  child.kill('SIGINT')
  expect(await ended).toBe(1)
  expect(said).toContain('Stopped: there is no verdict')
  await engine.until(state => state.aborted === 4)
  expect(() => readFileSync(out)).toThrow('ENOENT')
})
