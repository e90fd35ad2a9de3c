import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ShadowPair } from '../../domain/serving/index.ts'
import { instant, modelName, releaseId, requestId } from '../../domain/units.ts'
import type { CopiedPair, ShadowOutcome } from '../serve/index.ts'
import { newSealKeys, openPairSender, openTexts } from './index.ts'
import { openSealed, sealText } from './seal.ts'

describe('seals', () => {
  const keys = newSealKeys()

  test('any text comes out as it went in, for whoever has the private key', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.string(), (text, about) => {
        expect(openSealed(keys.privateKey, sealText(keys.publicKey, text, about), about)).toBe(text)
      }),
      { numRuns: 50 },
    )
  })

  test('the text is nowhere in what is sealed, and the same text is sealed differently each time', () => {
    const text = 'the-canary-text '.repeat(100)
    const sealed = sealText(keys.publicKey, text, 'a')
    for (const encoding of ['utf8', 'latin1'] as const)
      expect(Buffer.from(sealed, 'base64').toString(encoding)).not.toContain('canary')
    expect(sealText(keys.publicKey, text, 'a')).not.toBe(sealed)
  })

  test('another key, another subject and any changed byte open nothing', () => {
    const sealed = sealText(keys.publicKey, 'text', 'about')
    expect(openSealed(newSealKeys().privateKey, sealed, 'about')).toBeNull()
    expect(openSealed(keys.privateKey, sealed, 'about else')).toBeNull()
    const bytes = Buffer.from(sealed, 'base64')
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes)
      changed[at] = (changed[at] ?? 0) ^ 1
      expect(openSealed(keys.privateKey, changed.toString('base64'), 'about')).toBeNull()
    }
    for (const length of [0, 1, 32, 48, bytes.length - 1])
      expect(openSealed(keys.privateKey, bytes.subarray(0, length).toString('base64'), 'about')).toBeNull()
  })

  test('what is no key seals nothing', () => {
    expect(() => sealText('not a key', 'text', 'about')).toThrow()
  })
})

describe('sending', () => {
  const keys = newSealKeys()
  const release = releaseId('0190a6f0-0000-7000-8000-000000000001')
  const model = modelName('coder')
  const texts = { messages: [{ role: 'user', content: 'q' }], live: 'a', candidate: 'b' }
  const copied = (tail: string, change: Partial<CopiedPair> = {}): CopiedPair => ({
    ...{ model, release, sealFor: keys.publicKey, texts },
    pair: {
      id: requestId(`0190a6f0-0000-7000-8000-${tail.padStart(12, '0')}`),
      at: instant(0),
      lengths: { live: 1, candidate: 1 },
      candidate: { ok: true, status: 200, fault: null, firstTokenMs: null, totalMs: 1 },
    },
    ...change,
  })

  /** A controller that takes what it is sent once it is let, or is away. */
  function open(isAway = false) {
    const gate = Promise.withResolvers<void>()
    const sent: { release: string; pairs: readonly ShadowPair[] }[] = []
    const counted: ShadowOutcome[] = []
    const problems: string[] = []
    const sender = openPairSender({
      async send(of, pairs) {
        await gate.promise
        if (isAway) throw new Error('ECONNREFUSED')
        sent.push({ release: of, pairs })
      },
      count: (_, outcome) => counted.push(outcome),
      onProblem: problem => problems.push(problem),
    })
    return { ...sender, sent, counted, problems, letGo: () => gate.resolve() }
  }

  test('a pair comes to the holder of the key, and to nobody else, and not as another request’s', async () => {
    const { add, idle, sent, counted, letGo } = open()
    letGo()
    add(copied('1'))
    await idle()
    const pair = sent[0]?.pairs[0]
    if (pair === undefined) throw new Error('a pair was sent')
    expect(JSON.stringify(sent)).not.toContain('"q"')
    expect(openTexts(keys.privateKey, { release, pair })).toEqual(texts)
    expect(openTexts(newSealKeys().privateKey, { release, pair })).toBeNull()
    const other = { ...pair, id: copied('2').pair.id }
    expect(openTexts(keys.privateKey, { release, pair: other })).toBeNull()
    expect(counted).toEqual(['compared'])
  })

  test('a candidate that failed is sent without texts', async () => {
    const { add, idle, sent, counted, letGo } = open()
    letGo()
    const { pair } = copied('1')
    add(copied('1', { texts: null, pair: { ...pair, candidate: { ...pair.candidate, ok: false, status: 502 } } }))
    await idle()
    expect(sent[0]?.pairs).toMatchObject([{ sealed: null, candidate: { ok: false, status: 502 } }])
    expect(counted).toEqual(['candidate-failed'])
  })

  test('64 wait; of more the oldest are dropped, and each is counted once', async () => {
    const { add, idle, sent, counted, letGo } = open()
    for (let i = 1; i <= 70; i++) add(copied(String(i)))
    letGo()
    await idle()
    const ids = sent.flatMap(({ pairs }) => pairs.map(({ id }) => Number(id.slice(-12))))
    // The first was on its way when the others came.
    expect(ids).toEqual([1, ...Array.from({ length: 64 }, (_, i) => i + 7)])
    expect(Math.max(...sent.map(({ pairs }) => pairs.length))).toBe(8)
    expect(counted.filter(outcome => outcome === 'lost')).toHaveLength(5)
    expect(counted).toHaveLength(70)
  })

  test('pairs of two releases go apart', async () => {
    const { add, idle, sent, letGo } = open()
    letGo()
    for (const [tail, of] of [
      ['1', 'a'],
      ['2', 'a'],
      ['3', 'b'],
      ['4', 'a'],
    ] as const)
      add(copied(tail, { release: releaseId(of) }))
    await idle()
    expect(sent.map(({ release: of }) => of)).toEqual(['a', 'a', 'b', 'a'])
  })

  test('when the controller is away they are dropped and counted, which is told once', async () => {
    const { add, idle, counted, problems, letGo } = open(true)
    letGo()
    for (const tail of ['1', '2']) {
      add(copied(tail))
      await idle()
    }
    expect(counted).toEqual(['lost', 'lost'])
    expect(problems).toHaveLength(1)
  })

  test('a release whose key is none loses its pairs, not the gateway', async () => {
    const { add, idle, counted, problems } = open()
    add(copied('1', { sealFor: '!' }))
    await idle()
    expect(counted).toEqual(['lost'])
    expect(problems).toHaveLength(1)
  })
})
