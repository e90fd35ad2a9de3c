import { describe, expect, test } from 'vitest'
import { parseGoldenSet, type GivenAnswer, type GoldenSet } from '../../domain/evaluation/index.ts'
import { evaluateGolden, type GoldenEvaluation } from './evaluate-golden.ts'
import { AskError, type Ask } from './ports.ts'

const never = new AbortController().signal

function setOf(...cases: object[]): GoldenSet {
  const lines = cases.map((each, i) =>
    JSON.stringify({ id: `c${i}`, messages: [{ role: 'user', content: `question ${i}` }], ...each }),
  )
  const read = parseGoldenSet(lines.join('\n'))
  if (!read.ok) throw new Error(JSON.stringify(read.problems))
  return read.set
}

const given = (text: string): GivenAnswer => ({
  ...{ text, toolCalls: [], finish: 'stop', tokens: null, latencyMs: 5, version: 'v1' },
})
/** Says what the last message asks it to, by this table; else the message itself. */
const echo =
  (table: Record<string, string> = {}): Ask =>
  async prompt => {
    const last = String(prompt.at(-1)?.content)
    return given(table[last] ?? last)
  }

/** Gives a low mark to anything that is not about a question, else this one. */
const marker =
  (mark: number, claims = '{"claims": []}'): Ask =>
  async (prompt, { schema }) => {
    if (schema?.name === 'claims') return given(claims)
    const text = String(prompt[1]?.content)
    const about = /<<\w+ answer>>\n([\s\S]*?)\n<</.exec(text)?.[1] ?? ''
    return given(JSON.stringify({ reason: 'r', score: about.includes('question') ? mark : 1 }))
  }

const run = (set: GoldenSet, more: Partial<GoldenEvaluation> = {}) =>
  evaluateGolden({
    ...{ set, arms: { candidate: echo() }, standard: { kind: 'alone', atLeast: 1 } },
    ...{ repeats: 1, concurrency: 2, seed: 1, signal: never },
    ...more,
  })
const judgeOf = (ask: Ask) => ({
  ask,
  name: 'referee',
  digest: null,
  seed: 1,
  nonce: () => crypto.randomUUID().slice(0, 8),
})

test('a set that is answered as expected passes, one that is not fails with the reason', async () => {
  const set = setOf({ expect: { contains: 'question 0' } }, { expect: { regex: 'n 1$' } })
  expect((await run(set)).outcome.verdict).toBe('pass')
  const { outcome, rows } = await run(set, { arms: { candidate: echo({ 'question 1': 'no' }) } })
  expect(outcome).toMatchObject({ verdict: 'fail', reasons: ['1 of 2 cases fail (100 % must pass): c1'] })
  expect(rows[1]?.candidate[0]).toMatchObject({ answer: 'no', checks: [{ check: 'regex', passes: false }] })
})

test('both arms get the same seeds, one for each repeat, and the case’s own tools', async () => {
  const tools = [{ type: 'function', function: { name: 'f' } }]
  const set = setOf({ repeats: 3, tools, expect: { tool_call: { name: 'f' } } })
  const asked: string[] = []
  const arm =
    (name: string): Ask =>
    async (_, options) => {
      asked.push(`${name} ${options.seed} ${options.tools?.length} ${options.temperature}`)
      return { ...given(''), toolCalls: [{ id: 'a', type: 'function', function: { name: 'f', arguments: '{}' } }] }
    }
  const { rows } = await run(set, {
    ...{ arms: { live: arm('live'), candidate: arm('candidate') }, standard: { kind: 'against', margin: 0.02 } },
    ...{ seed: 40, temperature: 0 },
  })
  expect(asked.toSorted()).toEqual(
    ['candidate', 'live'].flatMap(name => [40, 41, 42].map(seed => `${name} ${seed} 1 0`)),
  )
  expect([rows[0]?.live?.length, rows[0]?.candidate.length]).toEqual([3, 3])
  expect(rows[0]?.closeness).toEqual({ value: expect.closeTo(1), by: 'words' })
})

test('so many answers are awaited at once, and no more', async () => {
  let running = 0
  let most = 0
  const ask: Ask = async prompt => {
    most = Math.max(most, ++running)
    await new Promise(resolve => setImmediate(resolve))
    running--
    return given(String(prompt.at(-1)?.content))
  }
  const progress: number[] = []
  const set = setOf(...Array.from({ length: 20 }, () => ({ expect: { contains: 'question' } })))
  await run(set, { arms: { candidate: ask }, concurrency: 3, onProgress: ({ done }) => void progress.push(done) })
  expect(most).toBe(3)
  expect(progress).toEqual(Array.from({ length: 20 }, (_, i) => i + 1))
})

test('V1 an engine that refuses has failed the case; one that stumbles is asked again', async () => {
  let calls = 0
  const ask: Ask = prompt => {
    calls++
    if (String(prompt.at(-1)?.content) === 'question 0')
      return Promise.reject(new AskError('too long for the context', { again: false }))
    return calls < 4 ? Promise.reject(new AskError('busy', { again: true })) : Promise.resolve(given('question'))
  }
  const set = setOf({ expect: { contains: 'question' } }, { expect: { contains: 'question' } })
  const { rows, outcome } = await run(set, { arms: { candidate: ask }, concurrency: 1 })
  expect(rows.map(row => row.candidate[0]?.kind)).toEqual(['failed', 'answered'])
  expect(calls).toBe(4)
  expect(outcome.warnings.join()).toContain('1 answers did not come')
})

test('stopping rejects as the signal says', async () => {
  const stop = new AbortController()
  const ask: Ask = () => {
    stop.abort(new Error('enough'))
    return Promise.reject(new Error('cut'))
  }
  await expect(run(setOf({}), { arms: { candidate: ask }, signal: stop.signal })).rejects.toThrow('enough')
})

describe('a judge of marks', () => {
  const judged = setOf(...Array.from({ length: 5 }, () => ({ expect: { rubric: 'is about the question' } })))

  test('J16 proves itself by controls, and then its marks count', async () => {
    const good = await run(judged, { judge: judgeOf(marker(9)) })
    expect(good.outcome.verdict).toBe('pass')
    expect(good.judge?.record.controls).toEqual({
      'off-topic': { asked: 3, missed: 0 },
      'injected': { asked: 3, missed: 0 },
    })
    expect(good.judge?.pin).toMatchObject({ judge: 'referee', prompt: 'rubric-1 claims-1' })
    expect((await run(judged, { judge: judgeOf(marker(4)) })).outcome.verdict).toBe('fail')
  })

  test('V10 one that likes everything neither passes nor fails anything', async () => {
    const generous: Ask = async () => given('{"reason": "great", "score": 9}')
    const { outcome } = await run(judged, { judge: judgeOf(generous) })
    expect(outcome.verdict).toBe('judge-inadmissible')
    expect(outcome.reasons.join()).toContain('something else')
  })

  test('one that does not answer leaves the case not judged, which is no pass', async () => {
    const gone: Ask = () => Promise.reject(new AskError('gone', { again: false }))
    const { outcome, rows } = await run(judged, { judge: judgeOf(gone) })
    expect(outcome.verdict).toBe('inconclusive')
    expect(rows[0]?.candidate[0]).toMatchObject({ checks: [{ measured: false, why: 'not judged: gone' }] })
  })

  test('without one a rubric is not measured', async () => {
    expect((await run(judged)).outcome.verdict).toBe('inconclusive')
  })

  test('J18 claims are looked at where there is a context', async () => {
    const claims = '{"claims": [{"claim": "a", "supported": 1}, {"claim": "b", "supported": 0}]}'
    const set = setOf({ context: 'Known.', expect: { contains: 'question' } }, { expect: { contains: 'question' } })
    const { outcome, rows } = await run(set, { judge: judgeOf(marker(9, claims)) })
    expect(outcome.arms.candidate.claims).toMatchObject({ unsupported: 1, all: 2, rate: 0.5 })
    expect(rows[1]?.candidate[0]).toMatchObject({ claims: null })
  })
})

test('an earlier run stands in for the live version, and what it lacks is missing', async () => {
  const set = setOf({ expect: { contains: 'question' } }, { expect: { contains: 'question' } })
  const before = await run(set)
  const live = new Map(before.rows.map(row => [row.id, row.candidate]))
  const standard = { kind: 'against', margin: 0.02 } as const
  expect((await run(set, { arms: { live, candidate: echo() }, standard })).outcome.verdict).toBe('pass')
  live.delete('c1')
  expect((await run(set, { arms: { live, candidate: echo() }, standard })).outcome.reasons.join()).toContain('c1')
})

test('closeness is measured by the embedding model where there is one, and by nothing else when it fails', async () => {
  const set = setOf({ expect: { similar: { to: 'x', atLeast: 0.9 } } })
  const close = await run(set, { embed: async texts => texts.map(() => [1, 2]) })
  expect(close.rows[0]?.candidate[0]).toMatchObject({
    checks: [{ passes: true, why: expect.stringContaining('embeddings') }],
  })
  const gone = await run(set, { embed: () => Promise.reject(new AskError('gone', { again: false })) })
  expect(gone.rows[0]?.candidate[0]).toMatchObject({ checks: [{ measured: false }] })
})
