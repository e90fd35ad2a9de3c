import { describe, expect, test } from 'vitest'
import type { LiveMark } from '../../domain/quality/index.ts'
import type { LiveSample } from '../../domain/serving/index.ts'
import { instant, modelName, requestId, versionName } from '../../domain/units.ts'
import { AskError, type Ask } from '../evaluate/index.ts'
import { newSealKeys } from '../shadow/index.ts'
import { openMarker, openSample, openSampleSender } from './index.ts'

const keys = newSealKeys()
const [coder, judge] = [modelName('coder'), modelName('judge')]
const version = versionName('dev-v1-a-q8-0-p0')
const texts = { messages: [{ role: 'user', content: 'what-was-asked' }], answer: 'what-was-answered, at some length' }
const sampled = (n: number, sealFor = keys.publicKey) => ({
  ...{ sealFor, texts },
  sample: { id: requestId(`r${n}`), model: coder, version },
})

/** A controller that takes what it is sent once it is let, or is away. */
function sending(isAway = false) {
  const gate = Promise.withResolvers<void>()
  const sent: LiveSample[][] = []
  const problems: string[] = []
  const sender = openSampleSender({
    async send(samples) {
      await gate.promise
      if (isAway) throw new Error('ECONNREFUSED')
      sent.push([...samples])
    },
    onProblem: problem => problems.push(problem),
  })
  return { ...sender, sent, problems, letGo: () => gate.resolve() }
}

async function samples(count: number): Promise<LiveSample[]> {
  const { add, idle, sent, letGo } = sending()
  letGo()
  for (let n = 1; n <= count; n++) add(sampled(n))
  await idle()
  return sent.flat()
}

describe('sending', () => {
  test('a sample comes to the holder of the key, and to nobody else, and not as another one', async () => {
    const [sample] = await samples(1)
    if (sample === undefined) throw new Error('one was sent')
    expect(JSON.stringify(sample)).not.toContain('what-was')
    expect(Buffer.from(sample.sealed, 'base64').toString('latin1')).not.toContain('what-was')
    expect(openSample(keys.privateKey, sample)).toEqual(texts)
    expect(openSample(newSealKeys().privateKey, sample)).toBeNull()
    expect(openSample(keys.privateKey, { ...sample, version: versionName('dev-v2-a-q8-0-p0') })).toBeNull()
  })

  test('32 wait; of more the oldest are dropped', async () => {
    const { add, idle, sent, letGo } = sending()
    for (let n = 1; n <= 40; n++) add(sampled(n))
    letGo()
    await idle()
    // The first was on its way when the others came.
    expect(sent.flat().map(({ id }) => id)).toEqual(['r1', ...Array.from({ length: 32 }, (_, i) => `r${i + 9}`)])
    expect(Math.max(...sent.map(some => some.length))).toBe(8)
  })

  test('what can’t be sealed or sent is gone, which is told once', async () => {
    const away = sending(true)
    away.letGo()
    for (const n of [1, 2]) {
      away.add(sampled(n))
      await away.idle()
    }
    expect(away.problems).toHaveLength(1)
    const wrong = sending()
    wrong.add(sampled(1, 'no key'))
    await wrong.idle()
    expect([wrong.sent, wrong.problems.length]).toEqual([[], 1])
  })
})

/** Marks what was really answered higher than what else it is shown. */
const fair = (shown: string): string =>
  `{"reason": "what-the-judge-thinks", "score": ${shown.includes('what-was-answered') ? 8 : 1}}`

/** A controller with a clock of its own. `say`: what the judge answers to what it is shown. */
function marking({ perHour = 60, say = fair }: { perHour?: number; say?: (shown: string) => string | null } = {}) {
  const state = { now: 1_000_000, wanted: true, asked: 0 }
  const kept: LiveMark[] = []
  const problems: string[] = []
  let timer: { at: number; fire: () => void } | null = null
  let changed = Promise.withResolvers<void>()
  const ask: Ask = async messages => {
    state.asked++
    const text = say(JSON.stringify(messages))
    if (text === null) throw new AskError('the engine is away', { again: false })
    return { text, toolCalls: [], tokens: [], finish: 'stop', latencyMs: 1, version: null }
  }
  const marker = openMarker({
    store: {
      async add(mark) {
        kept.push(mark)
      },
    },
    wishOf: model => (model === coder && state.wanted ? { judge, perHour } : null),
    open: sample => openSample(keys.privateKey, sample),
    judgeOf: name => ({ ask, name: `version of ${name}`, digest: 'd', seed: 1, nonce: () => 'nonce' }),
    now: () => instant(state.now),
    setTimer(afterMs, fire) {
      timer = { at: state.now + afterMs, fire }
      changed.resolve()
      return () => {
        timer = null
      }
    },
    onProblem: problem => problems.push(problem),
  })
  /** Lets so much time pass, once the judge waits for it. */
  async function pass(ms: number): Promise<void> {
    await changed.promise
    changed = Promise.withResolvers()
    state.now += ms
    if (timer === null || timer.at > state.now) return
    const { fire } = timer
    timer = null
    fire()
  }
  return {
    ...marker,
    state,
    kept,
    problems,
    pass,
    settled: (count: number) => expect.poll(() => kept.length).toBe(count),
  }
}

describe('marking', () => {
  test('keeps the mark, whose it is and who gave it, and no text', async () => {
    const { take, settled, kept, close } = marking()
    take(await samples(1))
    await settled(1)
    expect(kept).toEqual([
      {
        ...{ request: 'r1', at: 1_000_000, model: coder, version, mark: 8, calls: 1, unparsable: 0 },
        control: { kind: 'off-topic', result: 'passed' },
        judge: { name: 'version of judge', digest: 'd', prompt: 'rubric-1' },
      },
    ])
    expect(JSON.stringify(kept)).not.toContain('what-')
    await close()
  })

  test('goes at its own pace, the newest first, and drops what is too many', async () => {
    const { take, settled, kept, pass, state, close } = marking({ perHour: 60 })
    const all = await samples(12)
    take(all.slice(0, 1))
    await settled(1)
    take(all.slice(1))
    expect(kept).toHaveLength(1)
    await pass(60_000)
    await settled(2)
    expect(kept.map(({ request }) => request)).toEqual(['r1', 'r12'])
    const { asked } = state
    await pass(59_000)
    expect(state.asked).toBe(asked)
    await close()
  })

  test('asks the judge for controls soon, and keeps what came of them', async () => {
    const isControl = (shown: string): boolean => !shown.includes('what-was-answered')
    const { take, settled, kept, state, close } = marking({
      perHour: 1,
      // One that likes everything.
      say: shown => `{"reason": "", "score": ${isControl(shown) ? 9 : 8}}`,
    })
    for (const [n, sample] of (await samples(3)).entries()) {
      state.now += 3_600_000
      take([sample])
      await settled(n + 1)
    }
    expect(kept.map(({ control }) => control)).toContainEqual({ kind: 'off-topic', result: 'missed' })
    await close()
  })

  test('what the judge says and nobody can read is kept as that; where it does not answer nothing is kept', async () => {
    const unread = marking({ say: () => 'well' })
    unread.take(await samples(1))
    await unread.settled(1)
    expect(unread.kept).toMatchObject([{ mark: null, calls: 3, unparsable: 3 }])
    await unread.close()
    const away = marking({ say: () => null })
    away.take(await samples(1))
    await expect.poll(() => away.problems.length).toBe(1)
    expect(away.kept).toEqual([])
    await away.close()
  })

  test('is not done for models without a judge, for what another process was sent, and after its end', async () => {
    const { take, state, kept, problems, close, settled } = marking()
    const [first, second] = await samples(2)
    if (first === undefined || second === undefined) throw new Error('two were sent')
    state.wanted = false
    take([first])
    state.wanted = true
    take([{ ...first, id: requestId('other') }, second])
    await settled(1)
    expect(kept.map(({ request }) => request)).toEqual(['r2'])
    await close()
    take([first])
    expect([kept.length, problems]).toEqual([1, []])
  })
})
