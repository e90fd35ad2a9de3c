/** Which tokens are scored, and with what before them, against a library that only counts. */
import { expect, test } from 'vitest'
import type { WindowScore } from '../../domain/evaluation/index.ts'
import type { Context, Library, Model, Vocabulary } from './library.ts'
import type { Said } from './orders.ts'
import { score } from './score.ts'

const vocabulary = 7
const beginningToken = 6

/**
 * The text is 0 1 2 3 4 5 0 1 …, and after each token this model is nearly sure of the next one. Asked for logits that it
 * was not told to keep, or fed more than it has room for, it throws.
 */
function countingLibrary(textTokens: number, beginning: number | null = null) {
  const fed: number[][] = []
  const room = { context: 0, batch: 0 }
  const last = { tokens: new Int32Array(), wanted: new Int8Array() }
  const handle = <T>(): T => ({}) as T
  const library: Library = {
    quantise: () => Promise.reject(new Error('not here')),
    loadModel: path => Promise.resolve(path === 'missing' ? null : handle<Model>()),
    vocabularyOf: () => handle<Vocabulary>(),
    vocabularySize: () => vocabulary,
    textOf: (_, token) => `w${token}`,
    beginning: () => beginning,
    tokenize: () => Int32Array.from({ length: textTokens }, (_, i) => i % beginningToken),
    openContext(_, { context, batch }) {
      Object.assign(room, { context, batch })
      return handle<Context>()
    },
    forget: () => void fed.push([]),
    decode(_, tokens, wanted) {
      fed.at(-1)?.push(...tokens)
      if (tokens.length > room.batch || (fed.at(-1)?.length ?? 0) > 2 * room.context) return Promise.resolve(1)
      Object.assign(last, { tokens, wanted })
      return Promise.resolve(0)
    },
    logits(_, at, size) {
      if (last.wanted[at] !== 1) throw new Error(`nobody asked to keep token ${at}`)
      const next = ((last.tokens[at] ?? 0) + 1) % beginningToken
      return Float32Array.from({ length: size }, (__, token) => (token === next ? 5 : 0))
    },
  }
  return { library, fed }
}

async function run(library: Library, order: { context: number; windows?: number; reference?: string }) {
  const said: Said[] = []
  await score(
    library,
    { do: 'score', reference: 'a', other: 'b', text: 'x', threads: 1, windows: null, ...order },
    each => said.push(each),
  )
  return {
    started: said[0],
    scores: said.flatMap((each): WindowScore[] => (each.say === 'window' ? [each.score] : [])),
  }
}

/** Of the token that this model is nearly sure of. */
const cost = Math.log(Math.exp(5) + vocabulary - 1) - 5

test.each([16, 17, 512, 1300])(
  'of a window of %i tokens the second half is scored, each by what comes next',
  async context => {
    const { library } = countingLibrary(context * 2 + 5)
    const { started, scores } = await run(library, { context })
    expect(started).toEqual({ say: 'started', windows: 2, tokens: context * 2 + 5 })
    const scored = context - 1 - Math.floor(context / 2)
    for (const each of scores) {
      expect(each.divergences).toEqual(new Float64Array(scored))
      expect(each.reference / scored).toBeCloseTo(cost, 10)
      expect([each.other, each.sameTop]).toEqual([each.reference, scored])
    }
  },
)

test('a model that wants it gets the token that texts begin with in place of the first of every window', async () => {
  const { library, fed } = countingLibrary(48, beginningToken)
  await run(library, { context: 16 })
  const filled = fed.filter(tokens => tokens.length > 0)
  expect(filled.map(tokens => tokens[0])).toEqual([beginningToken, beginningToken, beginningToken])
  expect(filled.map(tokens => tokens[1])).toEqual([1, 17 % 6, 33 % 6])
})

test('no more windows than are wanted, and none that is not whole', async () => {
  expect((await run(countingLibrary(100).library, { context: 16, windows: 3 })).scores).toHaveLength(3)
  expect((await run(countingLibrary(15).library, { context: 16 })).scores).toEqual([])
})

test('a model that can’t be loaded is named', async () => {
  await expect(run(countingLibrary(64).library, { context: 16, reference: 'missing' })).rejects.toThrow(
    'can’t load missing',
  )
})
