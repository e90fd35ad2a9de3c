import { describe, expect, test } from 'vitest'
import { canaryOf, play, policyOf, shadowOf } from '../../domain/release/fake.ts'
import type { JudgedPair, Policy, Release } from '../../domain/release/index.ts'
import type { ShadowPair } from '../../domain/serving/index.ts'
import { instant, requestId } from '../../domain/units.ts'
import { AskError, type AskOptions } from '../evaluate/index.ts'
import { openPairJudge } from './index.ts'

const live = 'A long enough answer of the old version.'
const candidate = 'A long enough answer of the new version.'
const question = 'what-somebody-asked'

/** Answers that are in its `texts` open; the others were sealed for another key. */
function open(given: { judge?: Policy['shadow']; says?: string | (() => Promise<string>); keepsTexts?: boolean } = {}) {
  const { judge = shadowOf('judge'), says = verdict('A'), keepsTexts = false } = given
  const player = play(policyOf({ shadow: judge, canary: canaryOf([1]) }), { release: { phase: 'shadow' } })
  const world: { release: Release | null } = { release: player.release() }
  const texts = new Map<string, { live: string; candidate: string }>()
  const asked: AskOptions[] = []
  const added: JudgedPair[] = []
  const problems: string[] = []
  const judgePairs = openPairJudge({
    store: { addPairs: async (_, pairs) => void added.push(...pairs.map(each => each.pair)) },
    find: () => world.release,
    open(_, { id }) {
      const found = texts.get(id)
      return found === undefined ? null : { messages: [{ role: 'user', content: question }], ...found }
    },
    judgeOf: () => ({
      ...{ name: 'dev-v1-judge-q8-0-p0', digest: 'abc', seed: 1, nonce: () => 'nonce' },
      async ask(_, options) {
        asked.push(options)
        const text = typeof says === 'string' ? says : await Promise.race([says(), ended(options.signal)])
        return { text, toolCalls: [], finish: 'stop', tokens: null, latencyMs: 1, version: null }
      },
    }),
    recordOf: () => null,
    keepsTexts: () => keepsTexts,
    now: () => instant(5),
    onProblem: problem => problems.push(problem),
  })
  let born = 0
  const pair = (more: { ok?: boolean; texts?: { live: string; candidate: string } | null } = {}): ShadowPair => {
    const id = requestId(`r${++born}`)
    const { ok = true, texts: own = { live, candidate } } = more
    if (own !== null) texts.set(id, own)
    return {
      ...{ id, at: instant(1), lengths: { live: 40, candidate: ok ? 40 : null }, sealed: ok ? 'sealed' : null },
      candidate: { ok, status: ok ? 200 : 500, fault: ok ? null : 'engine-failed', firstTokenMs: null, totalMs: 1 },
    }
  }
  const take = (...pairs: ShadowPair[]) => judgePairs.take(player.release().id, pairs)
  /** Everything that was taken is judged by then. */
  const judged = async (count: number): Promise<JudgedPair[]> => {
    for (let turn = 0; turn < 10_000 && added.length < count; turn++) await Promise.resolve()
    return added
  }
  return { ...judgePairs, take, pair, judged, asked, added, problems, world }
}

function ended(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason))
  })
}

const verdict = (winner: string): string => JSON.stringify({ reason: `quotes ${question}`, winner, critical: false })

describe('a pair of answers', () => {
  test('is judged in both orders by the policy’s judge, and the verdict is kept with its pins', async () => {
    const { take, pair, judged } = open()
    take(pair())
    const [kept] = await judged(1)
    expect(kept).toMatchObject({
      ...{ identical: false, lengths: { live: 40, candidate: 40 } },
      judge: expect.stringMatching(/^dev-v1-judge-q8-0-p0 abc \S+$/),
      verdicts: [
        { winner: 'live', candidateIn: 'B' },
        { winner: 'candidate', candidateIn: 'A' },
      ],
    })
    expect(kept?.controls).toHaveLength(1)
  })

  test.each([
    [false, ''],
    [true, `quotes ${question}`],
  ])('keeps the judge’s reasons, which quote it, only where prompts are captured (%s)', async (keepsTexts, reason) => {
    const { take, pair, judged } = open({ keepsTexts })
    take(pair())
    const kept = await judged(1)
    expect(kept[0]?.verdicts.map(each => each.reason)).toEqual([reason, reason])
    expect(JSON.stringify(kept).includes(question)).toBe(keepsTexts)
    expect(JSON.stringify(kept)).not.toContain('A long enough answer')
  })

  test('that is the same twice costs no judge', async () => {
    const { take, pair, judged, asked } = open()
    take(pair({ texts: { live, candidate: `${live} ` } }))
    expect(await judged(1)).toMatchObject([{ identical: true, verdicts: [] }])
    expect(asked).toEqual([])
  })

  test('whose candidate failed counts, and nobody is asked', async () => {
    const { take, pair, judged, asked } = open()
    take(pair({ ok: false }))
    expect(await judged(1)).toMatchObject([{ failed: true, verdicts: [], lengths: { live: 40, candidate: 0 } }])
    expect(asked).toEqual([])
  })

  test('is counted as answered where no judge is asked for', async () => {
    const { take, pair, judged, asked } = open({ judge: shadowOf(null) })
    take(pair())
    expect(await judged(1)).toMatchObject([{ judge: '', verdicts: [] }])
    expect(asked).toEqual([])
  })

  test('sealed for the key of an earlier controller says nothing', async () => {
    const { take, pair, judged, added } = open()
    take(pair({ texts: null }), pair())
    await judged(1)
    expect(added).toHaveLength(1)
  })

  test('that comes after the shadow phase, or after the release, is read by nobody', async () => {
    const { take, pair, judged, asked, world } = open()
    const { release } = world
    world.release = null
    take(pair())
    if (release !== null) world.release = { ...release, phase: 'canary' }
    take(pair())
    expect(await judged(1)).toEqual([])
    expect(asked).toEqual([])
  })

  test('whose judge speaks no JSON is unreadable in both orders', async () => {
    const { take, pair, judged } = open({ says: 'I like them both.' })
    take(pair())
    expect((await judged(1))[0]?.verdicts.map(({ winner }) => winner)).toEqual([null, null])
  })

  test('whose judge can’t be asked counts as answered, and for neither side', async () => {
    const { take, pair, judged } = open({
      says: () => Promise.reject(new AskError('HTTP 400', { again: false })),
    })
    take(pair())
    expect(await judged(1)).toMatchObject([{ identical: false, verdicts: [] }])
  })
})

describe('the queue of pairs', () => {
  test('holds 128; of more the oldest are dropped, and one is judged at a time', async () => {
    const gate = Promise.withResolvers<string>()
    const { take, pair, judged, asked } = open({ says: () => gate.promise })
    take(pair(), pair())
    for (let n = 0; n < 140; n++) take(pair())
    // One pair, in both orders.
    expect(asked).toHaveLength(2)
    gate.resolve(verdict('A'))
    expect(await judged(200)).toHaveLength(1 + 128)
  })

  test('ends with the controller: what waits is dropped, what is judged is given up', async () => {
    const { take, pair, close, added, asked, problems } = open({ says: () => new Promise(() => undefined) })
    take(pair(), pair(), pair())
    await close()
    expect(added).toEqual([])
    expect(asked).toHaveLength(2)
    expect(problems).toEqual([])
  })
})
