/**
 * What Ollama is asked. Its `/v1` reads a part of OpenAI's fields and drops the others without a word: what would change
 * the answer is said in its words, or refused. Sampling that it has no field for (`top_k`, `min_p`, `repeat_penalty`) comes
 * from its Modelfile.
 */
import { FaultError } from '../../../domain/fault.ts'
import type { EngineDialect } from '../../../services/serve/index.ts'
import {
  asText,
  countByCompletion,
  embeddingRepair,
  field,
  insteadOf,
  plainChat,
  reasoning,
  repairWith,
  toolCalls,
  unsupported,
} from '../openai/index.ts'
import { toMessages } from './messages.ts'
import { usageOnce } from './repair.ts'

const engine = 'Ollama'
type Json = Record<string, unknown>

export const toRequest: EngineDialect['toRequest'] = (path, body) => {
  switch (path) {
    case 'chat/completions':
      return { path: '/chat/completions', body: toChat(body), repair: repairWith(reasoning, toolCalls(), usageOnce) }
    case 'completions':
      return { path: '/completions', body: toCompletion(body), repair: repairWith(usageOnce) }
    case 'embeddings':
      if (hasTokens(body['input'])) throw refusal('input', 'tokens in', 'Send texts.')
      return { path: '/embeddings', body, repair: embeddingRepair(body) }
    case 'tokenize':
      return countByCompletion(engine, body)
    case 'rerank':
    case 'audio/transcriptions':
    case 'audio/speech':
      throw unsupported(path, engine, insteadOf[path])
    default:
      return path satisfies never
  }
}

function toChat(body: Json): Json {
  refuseIgnored(body)
  const { messages, ...rest } = plainChat(body)
  return withThought(withTools({ ...rest, messages: toMessages(messages) }))
}

/**
 * It ignores `tool_choice`. `none` is no tools. That one must be called can't be promised, and a client that forces a call
 * builds on it: it is told.
 */
function withTools(body: Json): Json {
  const { tool_choice: choice, tools, ...rest } = body
  if (choice === 'none') return rest
  if (choice === undefined || choice === null || choice === 'auto')
    return tools === undefined ? rest : { ...rest, tools }
  const instead =
    "Send tool_choice 'auto', or ask for JSON with response_format json_schema, which Ollama holds its answers to."
  throw refusal('tool_choice', 'a forced tool call by', instead)
}

/** Its own word for thought, and that of chat templates, as `reasoning_effort`. It knows `none`, `low`, `medium`, `high`. */
function withThought(body: Json): Json {
  const { think, reasoning_effort: effort, ...rest } = body
  const isOff = field(body['chat_template_kwargs'], 'enable_thinking') === false
  const asked = effort ?? effortOf(think) ?? (isOff ? 'none' : null)
  return asked === null ? rest : { ...rest, reasoning_effort: nearestEffort[String(asked)] ?? asked }
}

const nearestEffort: Readonly<Record<string, string>> = { minimal: 'low', xhigh: 'high' }

function effortOf(think: unknown): string | null {
  if (think === true) return 'medium'
  return think === false ? 'none' : asText(think)
}

function toCompletion(body: Json): Json {
  refuseIgnored(body)
  const { prompt } = body
  if (!Array.isArray(prompt)) return body
  const [only] = prompt
  if (prompt.length === 1 && typeof only === 'string') return { ...body, prompt: only }
  throw refusal('prompt', 'several prompts or tokens in', 'Send one text, and a request for each.')
}

type Ignored = { when: (value: unknown) => boolean; what: string; instead: string }

const isSet = (value: unknown): boolean => value !== undefined && value !== null && value !== false
const isMany = (value: unknown): boolean => typeof value === 'number' && value > 1
const isFilled = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && Object.keys(value).length > 0

const context =
  'The context is set where Ollama runs: OLLAMA_CONTEXT_LENGTH, or PARAMETER num_ctx in a Modelfile and «ollama create».'

const ignored: Readonly<Record<string, Ignored>> = {
  n: { when: isMany, what: 'several answers by', instead: 'Send the request as often as you want answers.' },
  best_of: { when: isMany, what: 'several answers by', instead: 'Send the request as often as you want answers.' },
  echo: { when: isSet, what: 'the prompt again by', instead: 'Put the prompt in front of the answer yourself.' },
  logit_bias: { when: isFilled, what: 'other weights of tokens by', instead: 'Leave it out.' },
  num_ctx: { when: isSet, what: 'another context by', instead: context },
  options: {
    when: isFilled,
    what: 'the native form',
    instead: `Send temperature, top_p, seed, stop and max_tokens as OpenAI does. ${context}`,
  },
  format: { when: isSet, what: 'the native form', instead: 'Send response_format, as OpenAI does.' },
}

/** What `/v1` would drop without a word, and what clients would not notice until the answer is wrong. */
function refuseIgnored(body: Json): void {
  for (const [name, { when, what, instead }] of Object.entries(ignored))
    if (when(body[name])) throw refusal(name, what, instead)
}

function hasTokens(input: unknown): boolean {
  return Array.isArray(input) && input.some(one => typeof one !== 'string')
}

/** Reads «On Ollama, several answers by 'n' is not supported». */
function refusal(name: string, what: string, instead: string): FaultError {
  return new FaultError({ kind: 'unsupported', what: `On ${engine}, ${what} '${name}'`, instead })
}
