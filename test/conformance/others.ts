/** What is tried beside conversations: completions, embeddings, sound, rankings, tokens and the list of models. */
import { OpenAIEmbeddings } from '@langchain/openai'
import { embedMany } from 'ai'
import { toFile } from 'openai'
import { expect } from 'vitest'
import { z } from 'zod'
import { clientOf as anthropicOf } from './clients/anthropic-sdk.ts'
import { compatible } from './clients/ai-sdk.ts'
import { clientOf as openaiOf } from './clients/openai-node.ts'
import type { Python } from './clients/python.ts'
import { saying, type Ground } from './conversing.ts'
import { problemOf, type Access, type Problem } from './speaker.ts'
import { conversing, type Conversing, type Feature, type RowName } from './table.ts'

export type OtherGround = Omit<Ground, 'speaker' | 'typeFor' | 'expectAbandoned'> & { python: () => Python }
export type Check = (ground: OtherGround) => Promise<void>

/** By row and feature; conversations' own are in conversing.ts. */
export const otherChecks: { readonly [R in RowName]?: { readonly [F in Feature]?: Check } } = {
  'anthropic-sdk › messages': {
    async 'count tokens'({ access, fake }) {
      const asked = { model: access.model, messages: [{ role: 'user' as const, content: 'one two three' }] }
      const { input_tokens: count } = await anthropicOf(access).messages.countTokens({ ...asked, system: 'Be brief.' })
      if (fake === null) expect(count).toBeGreaterThan(4)
      else expect(count).toBe(5)
    },
  },
  'openai-node › completions': {
    async 'answer'(ground) {
      const { choices } = await openaiOf(ground.access).completions.create(completion(ground))
      expect(choices).toMatchObject([{ index: 0, finish_reason: expect.stringMatching(/^(stop|length)$/) as string }])
      expectText(ground, choices[0]?.text ?? '')
    },
    async 'streaming'(ground) {
      const stream = await openaiOf(ground.access).completions.create({ ...completion(ground), stream: true })
      const pieces: string[] = []
      for await (const { choices } of stream) pieces.push(choices[0]?.text ?? '')
      expectText(ground, pieces.join(''))
      expect(pieces.filter(piece => piece !== '').length).toBeGreaterThanOrEqual(3)
    },
    async 'usage'(ground) {
      const asked = completion(ground)
      const { usage } = await openaiOf(ground.access).completions.create(asked)
      const told: unknown[] = []
      const options = { stream: true, stream_options: { include_usage: true } } as const
      for await (const chunk of await openaiOf(ground.access).completions.create({ ...asked, ...options }))
        if (chunk.usage) told.push(chunk.usage)
      const output = ground.fake === null ? usage?.completion_tokens : 3
      expect(output).toBeGreaterThan(0)
      expect(usage).toMatchObject({ completion_tokens: output, prompt_tokens: expect.any(Number) as number })
      expect(told).toMatchObject([{ completion_tokens: output, prompt_tokens: usage?.prompt_tokens }])
    },
    async 'fill in the middle'(ground) {
      const asked = { ...completion(ground), suffix: '): pass' }
      expectText(ground, (await openaiOf(ground.access).completions.create(asked)).choices[0]?.text ?? '')
      // The suffix got there, whatever that engine calls it.
      expect(JSON.stringify(ground.fake?.state().lastRequests.at(-1)?.body)).toContain('): pass')
    },
  },
  'openai-node › embeddings': {
    async vectors({ access }) {
      const { embeddings } = openaiOf(access)
      const asked = { model: access.model, input: inputs }
      const packed = await embeddings.create(asked)
      const plain = await embeddings.create({ ...asked, encoding_format: 'float' })
      expectVectors([packed, plain].map(({ data }) => data.map(({ embedding }) => embedding)))
    },
  },
  'openai-python › embeddings': { vectors: inPython('embeddings') },
  'langchain-python › embeddings': { vectors: inPython('langchain-embeddings') },
  'ai-sdk › embeddings': {
    async vectors({ access }) {
      const model = compatible(access).textEmbeddingModel(access.model)
      const { embeddings, usage } = await embedMany({ model, values: inputs, maxRetries: 0 })
      expectVectors([embeddings])
      expect(usage.tokens).toBeGreaterThan(0)
    },
  },
  'langchain-js › embeddings': {
    async vectors({ access: { url, key, model } }) {
      const embeddings = new OpenAIEmbeddings({
        model,
        apiKey: key,
        maxRetries: 0,
        configuration: { baseURL: `${url}/v1` },
      })
      const vectors = await embeddings.embedDocuments(inputs)
      expectVectors([vectors])
      expect(await embeddings.embedQuery(inputs[0] ?? '')).toEqual(vectors[0])
    },
  },
  'openai-node › audio': {
    async transcription({ access, fake }) {
      const file = await toFile(Buffer.from('RIFF....WAVE'), 'said.wav', { type: 'audio/wav' })
      const asked = { model: access.model, file, prompt: '[[fake:tokens=3]]' }
      const { audio } = openaiOf(access)
      expect(await audio.transcriptions.create(asked)).toMatchObject({ text: 'word0 word1 word2' })
      expect(await audio.transcriptions.create({ ...asked, response_format: 'text' })).toBe('word0 word1 word2')
      expect(fake?.state().lastRequests.at(-1)?.body).toMatchObject({ file: { name: 'said.wav' } })
    },
    async speech({ access }) {
      const asked = { model: access.model, input: 'Good morning', voice: 'alloy', response_format: 'wav' } as const
      const answer = await openaiOf(access).audio.speech.create(asked)
      expect(answer.headers.get('content-type')).toBe('audio/wav')
      expect(Buffer.from(await answer.arrayBuffer()).toString('latin1', 0, 4)).toBe('RIFF')
    },
  },
  'fetch › rerank': {
    async ranking({ access }) {
      const documents = ['a blue whale', 'the red fox', 'a fox']
      const answer = await post(access, 'rerank', { query: 'red fox', documents, top_n: 2, return_documents: true })
      expect(answer).toMatchObject({
        results: [
          { index: 1, relevance_score: 1, document: { text: 'the red fox' } },
          { index: 2, relevance_score: 0.5, document: { text: 'a fox' } },
        ],
      })
    },
  },
  'fetch › tokenize': {
    async tokens({ access, fake }) {
      const { count } = z
        .looseObject({ count: z.int() })
        .parse(await post(access, 'tokenize', { prompt: 'one two three' }))
      if (fake === null) expect(count).toBeGreaterThan(2)
      else expect(count).toBe(3)
    },
  },
  'openai-node › models': {
    async 'list and one'({ access }) {
      const ids: string[] = []
      for await (const { id } of openaiOf(access).models.list()) ids.push(id)
      expect(ids).toContain(access.model)
      expect(await openaiOf(access).models.retrieve(access.model)).toMatchObject({ id: access.model, object: 'model' })
    },
  },
  'openai-python › models': {
    async 'list and one'({ access, python }) {
      const { list, one } = z
        .object({ list: z.array(z.string()), one: z.string() })
        .parse(await python().do('models', access))
      expect(list).toContain(access.model)
      expect(one).toBe(access.model)
    },
  },
  'anthropic-sdk › models': {
    async 'list and one'({ access }) {
      const ids: string[] = []
      for await (const { id } of anthropicOf(access).models.list()) ids.push(id)
      expect(ids).toContain(access.model)
      expect(await anthropicOf(access).models.retrieve(access.model)).toMatchObject({ id: access.model, type: 'model' })
    },
  },
}

/** The engine, which has no such route, was asked and said so; it is no worse for that. */
export async function passedOnCheck(ground: OtherGround, check: Check): Promise<void> {
  for (let times = 0; times < 4; times++) {
    const { message } = await refusalOf(() => check(ground))
    expect(message).toMatch(/which has no such route, is not supported\. Newer \S.*\.$/s)
  }
}

/** What the client throws; it must throw. */
export async function refusalOf(call: () => Promise<unknown>, problem = problemOf): Promise<Problem> {
  const error = await call().then(
    () => new Error('It was answered.'),
    (thrown: unknown) => thrown,
  )
  return problem(error)
}

export const isConversing = (feature: Feature): feature is Conversing => conversing.some(one => one === feature)

const inputs = ['cat', 'dog and cat']
const mostTokens = 12

const completion = (ground: Pick<Ground, 'fake' | 'access'>) => ({
  model: ground.access.model,
  prompt: ground.fake === null ? 'The cat' : saying(ground),
  temperature: 0,
  max_tokens: mostTokens,
})

function expectText({ fake }: Pick<Ground, 'fake'>, text: string): void {
  if (fake === null) expect(text).toMatch(/\p{L}+/u)
  else expect(text).toBe('word0 word1 word2')
}

/** Each way gives one vector a text, of one length, and the same ones. */
function expectVectors(ways: readonly (readonly number[][])[]): void {
  const [first] = ways
  for (const way of ways) {
    expect(way).toHaveLength(inputs.length)
    for (const [index, vector] of way.entries()) {
      expect(vector.length).toBeGreaterThan(7)
      expect(vector.length).toBe(first?.[0]?.length)
      for (const [at, value] of vector.entries()) expect(value).toBeCloseTo(first?.[index]?.[at] ?? NaN, 5)
    }
    expect(way[0]).not.toEqual(way[1])
  }
}

function inPython(task: 'embeddings' | 'langchain-embeddings'): Check {
  const Told = z.object({ packed: z.array(z.array(z.number())), plain: z.array(z.array(z.number())) })
  return async ({ access, python }) => {
    const { packed, plain } = Told.parse(await python().do(task, access, { inputs }))
    expectVectors([packed, plain])
  }
}

/** What plain HTTP throws for a refusal. */
class Refusal extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

async function post({ url, key, model }: Access, path: string, body: Record<string, unknown>): Promise<unknown> {
  const answer = await fetch(`${url}/v1/${path}`, {
    method: 'POST',
    headers: { 'authorization': `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model, ...body }),
  })
  const told: unknown = await answer.json()
  if (answer.ok) return told
  const { error } = z.object({ error: z.looseObject({ message: z.string() }) }).parse(told)
  throw new Refusal(answer.status, error.message)
}
