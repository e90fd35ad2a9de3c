/** `bin/node24 bench/releases/machine.main.ts`: whole releases (assignment, evidence, machine) over simulated traffic. */
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { readArguments } from '../../scripts/arguments.ts'
import type { Policy } from '../../src/domain/release/index.ts'
import { millis, share } from '../../src/domain/units.ts'
import { simulateRelease, type Outcome, type Traffic } from './simulate-release.ts'

type Case = {
  title: string
  runs: number
  traffic: Omit<Traffic, 'seed'>
  /** What must hold of the share of runs that end so. */
  bound: { phase: Outcome['phase']; atMost?: number; atLeast?: number }
}

const values = readArguments({
  usage: `bin/node24 bench/releases/machine.main.ts [--quick]

Thousands of whole releases (assignment, evidence, machine) over simulated traffic; some minutes. Writes
bench/releases/machine.md; --quick: a tenth of it, and nothing written. Answers 1 when a bound does not hold.`,
  switches: ['quick'],
  values: {},
})
const begun = performance.now()

const usual = { errors: 0.01, slower: 1 }
const none = { errors: null, firstToken: null, perToken: null, feedback: null }
const all = { errors: { margin: 0.005 }, firstToken: { ratio: 1.2 }, perToken: { ratio: 1.2 }, feedback: null }
const conversations = { perUnit: 4, unlucky: 0.2 }
const requests = { perUnit: 1 }

const cases: Case[] = [
  {
    title: 'A/A, 5 → 25 → 50 → 100 %, all gates, conversations of 4, failures in a fifth of them',
    runs: 2000,
    traffic: { policy: policyOf([0.05, 0.25, 0.5, 1], all), ...same(5000), ...conversations },
    bound: { phase: 'rolled-back', atMost: 0.01 },
  },
  {
    title: 'A/A, all traffic at once, all gates, against the baseline alone',
    runs: 1000,
    traffic: { policy: policyOf([1], all), ...same(5000), ...conversations },
    bound: { phase: 'rolled-back', atMost: 0.01 },
  },
  {
    title: 'A/A, 5 → 25 → 50 → 100 %, all gates, each request on its own, until it is promoted',
    runs: 100,
    traffic: { policy: policyOf([0.05, 0.25, 0.5, 1], all), ...same(80_000), ...requests },
    bound: { phase: 'live', atLeast: 0.9 },
  },
  {
    title: 'everything fails, 10 %',
    runs: 1000,
    traffic: {
      policy: policyOf([0.1], none, 'long'),
      ...worse({ errors: 1, slower: 1 }, 1000),
      ...requests,
      lookEvery: 1,
    },
    // Arms that differ by chance are void once in a thousand times.
    bound: { phase: 'rolled-back', atLeast: 0.99 },
  },
  ...[0, 0.005].map(margin => ({
    title: `errors 1 → 3 %, 10 %, margin ${margin * 100} points`,
    runs: 300,
    traffic: {
      policy: policyOf([0.1], { ...none, errors: { margin } }, 'long'),
      ...worse({ errors: 0.03, slower: 1 }, 20_000),
      ...requests,
    },
    bound: { phase: 'rolled-back' as const, atLeast: margin === 0 ? 0.97 : 0.6 },
  })),
  {
    title: 'errors 1 → 10 %, 5 %, margin 0.5 points',
    runs: 300,
    traffic: {
      policy: policyOf([0.05], { ...none, errors: { margin: 0.005 } }, 'long'),
      ...worse({ errors: 0.1, slower: 1 }, 20_000),
      ...requests,
    },
    bound: { phase: 'rolled-back', atLeast: 1 },
  },
  {
    title: 'first token half as slow again, 25 %, conversations',
    runs: 300,
    traffic: {
      policy: policyOf([0.25], { ...none, firstToken: { ratio: 1.2 } }, 'long'),
      ...worse({ errors: 0.01, slower: 1.5 }, 10_000),
      ...conversations,
    },
    bound: { phase: 'rolled-back', atLeast: 0.99 },
  },
  {
    title: 'one in ten of the candidate’s requests leaks to the live version, 50 %',
    runs: 300,
    traffic: { policy: policyOf([0.5], none, 'long'), ...same(20_000), ...requests, leak: 0.1 },
    bound: { phase: 'held', atLeast: 0.99 },
  },
  {
    title: 'a request every five hours',
    runs: 300,
    traffic: { policy: policyOf([0.1, 1], all), ...same(400), ...requests, everyMs: 20_000_000, lookEvery: 1 },
    bound: { phase: 'held', atLeast: 1 },
  },
]

const rows = cases.map(one => {
  const runs = Math.ceil(one.runs * (values.quick ? 0.1 : 1))
  const outcomes = Array.from({ length: runs }, (_, index) => run(one, index + 1))
  const part = (phase: Outcome['phase']) => outcomes.filter(is => is.phase === phase).length / runs
  const hit = outcomes.filter(is => is.phase === one.bound.phase).map(is => is.requests)
  const holds = part(one.bound.phase) >= (one.bound.atLeast ?? 0) && part(one.bound.phase) <= (one.bound.atMost ?? 1)
  const told = ['rolled-back', 'held', 'live'] as const
  const must =
    one.bound.atMost === undefined ? `≥ ${percent(one.bound.atLeast ?? 0)}` : `≤ ${percent(one.bound.atMost)}`
  const row = [
    ...[one.title, String(runs), ...told.map(phase => percent(part(phase)))],
    ...[`${one.bound.phase} ${must}`, String(middle(hit) ?? '—'), String(hit.length === 0 ? '—' : Math.max(...hit))],
  ]
  console.log(`${holds ? '' : 'OUT OF BOUNDS '}${row.join(' | ')}`)
  return { row, holds }
})

const titles = ['releases', 'runs', 'rolled back', 'held', 'live', 'must be', 'median requests', 'most']
const table = [titles, titles.map(() => '---'), ...rows.map(({ row }) => row)].map(cells => `| ${cells.join(' | ')} |`)
if (!values.quick) writeFileSync(fileURLToPath(new URL('machine.md', import.meta.url)), renderDocument())
process.exitCode = rows.every(({ holds }) => holds) ? 0 : 1

function run({ traffic }: Case, seed: number): Outcome {
  return simulateRelease({ ...traffic, seed })
}

function same(count: number) {
  return { live: usual, candidate: usual, requests: count }
}

function worse(candidate: Traffic['candidate'], count: number) {
  return { live: usual, candidate, requests: count }
}

/** `long`: the first step lasts for ever, to see when it is found out. */
function policyOf(steps: number[], gates: Policy['gates'], time: 'long' | 'usual' = 'usual'): Policy {
  const day = 86_400_000
  return {
    ...{ name: 'simulated', room: 'beside', smoke: null, golden: null, shadow: null },
    canary: {
      steps: steps.map(share),
      ...{ minTime: millis(time === 'long' ? 99 * day : 60_000), maxTime: millis(time === 'long' ? 99 * day : day) },
      ...{ minRequests: 20, bake: millis(60_000), stick: 'conversation' },
    },
    gates,
    ...{ hooks: [], onTimeout: 'hold' },
  }
}

function middle(numbers: number[]): number | undefined {
  return numbers.toSorted((a, b) => a - b)[numbers.length >> 1]
}

function percent(part: number): string {
  return `${Number((part * 100).toFixed(2))} %`
}

function renderDocument(): string {
  return [
    '# The release machine over simulated traffic: last numbers',
    '',
    'Written by `bin/node24 bench/releases/machine.main.ts`. Usual: 1 % of the requests fail, 5 % are slow by the baseline (2,000 requests',
    'before), two kinds of prompts. A look every 50 requests. «Median» and «most» are requests of the model until the end named in «must be».',
    '',
    ...table,
    '',
    `${new Date().toISOString().slice(0, 10)} · Node ${process.versions.node} · ${((performance.now() - begun) / 1000).toFixed(0)} s`,
    '',
  ].join('\n')
}
