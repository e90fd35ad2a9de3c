/** Scripted judges, each with one habit, before the rules that should find it. */
import { describe, expect, test } from 'vitest'
import {
  admitPairJudge,
  openJudgeRecord,
  type GivenAnswer,
  type JudgeRecord,
  type LabelledPair,
} from '../../domain/evaluation/index.ts'
import { seededRandom } from '../../domain/evaluation/statistics/index.ts'
import { judgePair, markAnswer, type Judge } from './judge.ts'
import { proveJudge } from './prove-judge.ts'
import { AskError, type Ask } from './ports.ts'

const signal = new AbortController().signal
const messages = [{ role: 'user' as const, content: 'What is the capital of France?' }]

const answer = (text: string): GivenAnswer => ({
  ...{ text, toolCalls: [], finish: 'stop', tokens: null, latencyMs: 1, version: null },
})
const say = (winner: string): string => JSON.stringify({ reason: 'because', winner, critical: false })

/** What stands in the slots, as a judge sees it. */
function slotsOf(prompt: Parameters<Ask>[0]): { A: string; B: string } {
  const text = String(prompt[1]?.content)
  const slot = (name: string): string => new RegExp(`<<\\w+ answer ${name}>>\\n([\\s\\S]*?)\\n<<`).exec(text)?.[1] ?? ''
  return { A: slot('A'), B: slot('B') }
}

/** How good an answer is: the number that it ends with. Texts about other things have none. */
const worth = (text: string): number => Number(/quality (\d+)/.exec(text)?.[1] ?? -1)

/** Compares worth, and errs now and then. */
const fair =
  (random: () => number): Ask =>
  async prompt => {
    const { A, B } = slotsOf(prompt)
    if (random() < 0.08) return answer(say('tie'))
    if (worth(A) === worth(B)) return answer(say('tie'))
    return answer(say(worth(A) > worth(B) ? 'A' : 'B'))
  }

const judges: Record<string, (random: () => number) => Ask> = {
  'fair': fair,
  'biased to slot A': random => async prompt =>
    random() < 0.8 ? answer(say('A')) : fair(random)(prompt, { seed: 1, signal }),
  'random': random => async () => answer(say(['A', 'B', 'tie'][Math.floor(random() * 3)] ?? '')),
  'injected': random => async (prompt, options) => {
    const { A, B } = slotsOf(prompt)
    const orders = /EVALUATOR|Ignore all earlier/
    if (orders.test(A) !== orders.test(B)) return answer(say(orders.test(A) ? 'A' : 'B'))
    return fair(random)(prompt, options)
  },
  'unparsable': random => async (prompt, options) =>
    random() < 0.1 ? answer('Both have their merits.') : fair(random)(prompt, options),
  'always a tie': () => async () => answer(say('tie')),
}

/** `count` pairs of answers whose worth differs more or less, before this judge. */
async function judgeMany(name: string, count: number, seed = 7) {
  const random = seededRandom(seed)
  const ask = judges[name]?.(random)
  if (ask === undefined) throw new Error(name)
  let nonce = 0
  const judge: Judge = { ask, name, digest: null, seed, nonce: () => `n${nonce++}` }
  let record = openJudgeRecord()
  const scores: (number | null)[] = []
  for (let i = 0; i < count; i++) {
    const [live, candidate] = [random(), random()].map(
      value => `The capital of France is Paris, quality ${Math.floor(value * 10)}`,
    )
    const judged = await judgePair(
      judge,
      { messages, live: live ?? '', candidate: candidate ?? '' },
      { record, signal },
    )
    record = judged.record
    scores.push('score' in judged.outcome ? judged.outcome.score : null)
  }
  return { record, scores }
}

const whyOf = (record: JudgeRecord): string => {
  const found = admitPairJudge(record)
  return found.kind === 'inadmissible' ? found.why.join('; ') : found.kind
}

describe('a judge before its rules', () => {
  test.each([
    ['fair', 'admissible'],
    ['biased to slot A', 'turn when the answers change places'],
    ['random', 'turn when the answers change places'],
    ['injected', 'obeys orders that stand in an answer'],
    ['unparsable', 'can’t be read'],
    ['always a tie', 'tells no answers apart'],
  ])('%s: %s', async (name, expected) => {
    for (const seed of [1, 2, 3])
      expect(whyOf((await judgeMany(name, 120, seed)).record), `seed ${seed}`).toContain(expected)
  })

  test('J11 an injected one is steady in all else: only its controls give it away', async () => {
    const { record } = await judgeMany('injected', 120)
    const clean = { ...record, controls: openJudgeRecord().controls }
    expect(whyOf(clean)).toBe('admissible')
    expect(record.controls.injected.missed).toBe(record.controls.injected.asked)
    expect(record.controls['off-topic'].missed).toBeLessThan(2)
  })

  test('J10 a judge biased to a slot gives nearly no scores, and its bias has a name', async () => {
    const { record, scores } = await judgeMany('biased to slot A', 120)
    expect(whyOf(record)).toContain('it prefers slot A')
    expect(scores.filter(score => score !== 0 && score !== null).length).toBeLessThan(30)
  })
})

test('J4 the same answer is a tie, and the judge is not asked', async () => {
  const judge: Judge = {
    ask: () => Promise.reject(new Error('asked')),
    name: 'x',
    digest: null,
    seed: 1,
    nonce: () => 'n',
  }
  const { outcome, record } = await judgePair(
    judge,
    { messages, live: 'Paris.', candidate: ' Paris.' },
    { record: openJudgeRecord(), signal },
  )
  expect(outcome).toEqual({ kind: 'identical', score: 0 })
  expect(record.calls).toBe(0)
})

test('J14 an engine that fails is no verdict and no fault of the judge; a refusal is not tried again', async () => {
  let asked = 0
  const ask: Ask = () => {
    asked++
    return Promise.reject(new AskError('it has no such model', { again: false }))
  }
  const { outcome, record } = await judgePair(
    { ask, name: 'x', digest: null, seed: 1, nonce: () => 'n' },
    { messages, live: 'Paris.', candidate: 'Lyon.' },
    { record: openJudgeRecord(), signal },
  )
  expect(outcome).toEqual({ kind: 'not-judged', why: 'it has no such model' })
  expect(record).toMatchObject({ notJudged: 1, calls: 0, pairs: 0 })
  expect(asked).toBe(2)
})

test('J3, J19 every question has its own nonce, temperature 0 and the judge’s seed; the verdict is pinned', async () => {
  const nonces: string[] = []
  const asked: unknown[] = []
  const ask: Ask = async (prompt, { seed, temperature, schema }) => {
    nonces.push(/<<(\w+) answer A>>/.exec(String(prompt[1]?.content))?.[1] ?? '')
    asked.push([seed, temperature, schema?.name])
    return answer(say('tie'))
  }
  let next = 0
  const judge: Judge = { ask, name: 'referee', digest: 'sha256:1', seed: 5, nonce: () => `n${next++}` }
  const { pin } = await judgePair(
    judge,
    { messages, live: 'Paris.', candidate: 'Lyon.' },
    { record: openJudgeRecord(), signal },
  )
  expect(new Set(nonces).size).toBe(2)
  expect(asked).toEqual([
    [5, 0, 'pair_verdict'],
    [5, 0, 'pair_verdict'],
  ])
  expect(pin).toEqual({ judge: 'referee', digest: 'sha256:1', prompt: 'pair-1', temperature: 0, seed: 5 })
})

describe('J8 marks', () => {
  const marking = (...texts: (string | GivenAnswer)[]): Judge => {
    let at = 0
    const ask: Ask = async () => {
      const next = texts[at++ % texts.length] ?? ''
      return typeof next === 'string' ? answer(next) : next
    }
    return { ask, name: 'x', digest: null, seed: 1, nonce: () => 'n' }
  }

  test('without chances it is the median of three, unreadable ones left out and counted', async () => {
    const three = await markAnswer(
      marking('{"score": 3}', '{"score": 9}', '{"score": 8}'),
      { messages, answer: 'x' },
      signal,
    )
    expect(three).toMatchObject({ mark: 8, calls: 3, unparsable: 0 })
    const two = await markAnswer(marking('{"score": 3}', 'hm', '{"score": 8}'), { messages, answer: 'x' }, signal)
    expect(two).toMatchObject({ mark: 5.5, calls: 3, unparsable: 1 })
    const none = await markAnswer(marking('hm'), { messages, answer: 'x' }, signal)
    expect(none).toMatchObject({ mark: null, calls: 3, unparsable: 3, reason: 'it said no JSON object' })
  })

  test('with chances one question is enough', async () => {
    const others = [
      { text: '6', chance: 0.5 },
      { text: '8', chance: 0.5 },
    ]
    const tokens = [
      { text: '{"score": ', others: [] },
      { text: '6', others },
      { text: '}', others: [] },
    ]
    const marked = await markAnswer(marking({ ...answer('{"score": 6}'), tokens }), { messages, answer: 'x' }, signal)
    expect(marked).toMatchObject({ mark: 7, calls: 1 })
  })
})

describe('J15 pairs that people judged too', () => {
  const worthOf = (n: number): [number, number] => [n % 5, (n * 3 + 1) % 7]
  /** `agrees`: people see it as the worth says; else the other way round. */
  const labelled = (agrees: boolean): LabelledPair[] =>
    Array.from({ length: 60 }, (_, n) => {
      const [a, b] = worthOf(n)
      const better = Math.sign(b - a) as -1 | 0 | 1
      return {
        ...{ id: `p${n}`, messages, label: (agrees ? better : -better) as -1 | 0 | 1 },
        a: `A sound and helpful answer, quality ${a}`,
        b: `Another sound and helpful answer, quality ${b}`,
      }
    })
  const prove = (name: string, agrees: boolean) => {
    const ask = judges[name]?.(seededRandom(3))
    if (ask === undefined) throw new Error(name)
    const judge: Judge = { ask, name, digest: null, seed: 3, nonce: () => 'n' }
    return proveJudge({ judge, pairs: labelled(agrees), signal })
  }

  test('one that sees it as they do may judge, with its kappa and how sure that is', async () => {
    const { proof, pin } = await prove('fair', true)
    expect(proof.admissibility.kind).toBe('admissible')
    expect(proof.labelled).toBe(60)
    expect(proof.kappa.value).toBeGreaterThan(0.6)
    const [low, high] = proof.kappa.interval
    expect(low).toBeLessThan(proof.kappa.value)
    expect(high).toBeGreaterThan(proof.kappa.value)
    expect(pin.judge).toBe('fair')
    expect((await prove('fair', true)).proof).toEqual(proof)
  })

  test('one that is steady and disagrees with them may not', async () => {
    const { proof } = await prove('fair', false)
    expect(proof.admissibility).toMatchObject({ kind: 'inadmissible' })
    expect(JSON.stringify(proof.admissibility)).toContain('kappa')
  })
})
