/** Official clients × every dialect × every engine: each cell of docs/reference/conformance.md, proven. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { pythonWithClient } from '../e2e/python/environment.ts'
import { aiSdkChat, aiSdkMessages, aiSdkResponses } from './clients/ai-sdk.ts'
import { anthropicMessages } from './clients/anthropic-sdk.ts'
import { langchainChat, langchainResponses } from './clients/langchain-js.ts'
import { openaiChat, openaiResponses } from './clients/openai-node.ts'
import { startPython, type Python } from './clients/python.ts'
import { conversingChecks, limitChecks, quirkCheck, type Ground, type Types } from './conversing.ts'
import { enginesHere, startBench, type Bench } from './engines.ts'
import { isConversing, otherChecks, passedOnCheck, refusalOf, type Check, type OtherGround } from './others.ts'
import { problemOf, type Speaker } from './speaker.ts'
import {
  nameOf,
  outcomeOf,
  quirkRows,
  quirks,
  rows,
  type ClientName,
  type Engine,
  type Feature,
  type Row,
  type RowName,
} from './table.ts'

const interpreter = pythonWithClient()
const isPythons = ({ client }: Row): boolean => client.endsWith('-python')
// Where there is no Python its clients are not there to be tried.
const rowsHere: readonly Row[] = rows.filter(row => interpreter !== null || !isPythons(row))

let bench: Bench
let python: Python | null = null

beforeAll(async () => {
  bench = await startBench()
  python = interpreter === null ? null : startPython(interpreter)
}, 120_000)
afterAll(async () => {
  await python?.close()
  await bench?.close()
}, 60_000)

const speakers: { readonly [R in RowName]?: () => Speaker } = {
  'openai-node › chat completions': () => openaiChat,
  'openai-node › responses': () => openaiResponses,
  'openai-python › chat completions': () => pythons().speaker('chat'),
  'openai-python › responses': () => pythons().speaker('responses'),
  'anthropic-sdk › messages': () => anthropicMessages,
  'ai-sdk › chat completions': () => aiSdkChat,
  'ai-sdk › responses': () => aiSdkResponses,
  'ai-sdk › messages': () => aiSdkMessages,
  'langchain-js › chat completions': () => langchainChat,
  'langchain-js › responses': () => langchainResponses,
  'langchain-python › chat completions': () => pythons().speaker('langchain'),
}

/** What openai's clients throw. */
const openaiTypes: Types = {
  'unknown model': 'NotFoundError',
  'wrong key': 'AuthenticationError',
  'context exceeded': 'BadRequestError',
  'engine down': 'InternalServerError',
  'broken stream': 'APIError',
}
const aiSdkType = 'AI_APICallError'
const types: Record<ClientName, Types> = {
  'openai-node': openaiTypes,
  'openai-python': openaiTypes,
  'anthropic-sdk': { ...openaiTypes, 'engine down': 'ServiceUnavailableError' },
  'ai-sdk': {
    'unknown model': aiSdkType,
    'wrong key': aiSdkType,
    'context exceeded': aiSdkType,
    'engine down': aiSdkType,
    // The error as it came.
    'broken stream': 'object',
  },
  'langchain-js': { ...openaiTypes, 'context exceeded': 'ContextOverflowError' },
  'langchain-python': {
    'unknown model': 'OpenAIModelNotFoundError',
    'wrong key': 'OpenAIAuthenticationError',
    'context exceeded': 'OpenAIContextOverflowError',
    'engine down': 'OpenAIAPIError',
    'broken stream': 'APIError',
  },
  'fetch': openaiTypes,
}

for (const engine of enginesHere) {
  for (const row of rowsHere) {
    for (const feature of row.features) {
      const outcome = outcomeOf(row, feature, engine.name)
      if (outcome.is === 'untried') continue
      test(`${nameOf(row)} › ${feature} › ${engine.name}`, async () => {
        const ground = groundOf(feature, engine)
        const check = checkOf(row, feature)
        if (outcome.is === 'yes') return check(ground)
        if (outcome.is === 'refused') return expectRefusal(row, engine, () => check(ground))
        if (outcome.limit === 'passed-on') return passedOnCheck(ground, check)
        return limitChecks[outcome.limit](conversingGround(row, ground))
      })
    }
  }
}

for (const engine of enginesHere.filter(({ real }) => !real)) {
  for (const row of rows.filter(one => quirkRows.includes(nameOf(one)))) {
    for (const quirk of Object.keys(quirks)) {
      if (quirk === 'oldReasoning' && outcomeOf(row, 'reasoning', engine.name).is !== 'yes') continue
      test(`${nameOf(row)} › ${quirk} › ${engine.name}`, () =>
        quirkCheck(conversingGround(row, groundOf('answer', engine)), quirk))
    }
  }
}

function checkOf(row: Row, feature: Feature): Check {
  const name = nameOf(row)
  const own = otherChecks[name]?.[feature]
  if (own !== undefined) return own
  if (!isConversing(feature)) throw new Error(`${name} has no check of ${feature}`)
  return ground => conversingChecks[feature](conversingGround(row, ground))
}

function groundOf(feature: Feature, engine: Engine): OtherGround {
  const model = engine.name === 'llama-server' && feature === 'vectors' ? 'llama-server-embeddings' : engine.name
  return {
    access: { url: bench.service.url, key: bench.key, model },
    engine,
    fake: bench.fake(engine.name),
    python: pythons,
  }
}

function conversingGround(row: Row, ground: OtherGround): Ground {
  const speaker = speakers[nameOf(row)]
  if (speaker === undefined) throw new Error(`${nameOf(row)} holds no conversations`)
  return {
    ...ground,
    speaker: speaker(),
    expectAbandoned: leave => bench.expectAbandoned(ground.engine, leave),
    typeFor: what => types[row.client][what],
  }
}

function pythons(): Python {
  if (python === null) throw new Error('there is no Python here')
  return python
}

async function expectRefusal(row: Row, { title }: Engine, call: () => Promise<void>): Promise<void> {
  const { status, message } = await refusalOf(call, speakers[nameOf(row)]?.().problem ?? problemOf)
  expect(message).toContain(title)
  expect(message).toMatch(/\. \S.{10,}\./)
  if (status !== null) expect(status).toBe(400)
}
