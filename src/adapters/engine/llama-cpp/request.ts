/** What llama-server is asked. It has a route of its own for filling in the middle, and drops some of OpenAI's fields without a word. */
import { FaultError } from '../../../domain/fault.ts'
import type { EngineDialect, EngineRequest } from '../../../services/serve/index.ts'
import {
  asNumber,
  asText,
  continued,
  continuedFields,
  field,
  insteadOf,
  plainChat,
  plainChatFields,
  ranking,
  repairWith,
  toolCalls,
  unsupported,
} from '../openai/index.ts'
import { infilled, inputTokens, tokenList } from './repair.ts'

const engine = 'llama-server'
type Json = Record<string, unknown>

export const toRequest: EngineDialect['toRequest'] = (path, body) => {
  switch (path) {
    case 'chat/completions':
      return {
        path: '/chat/completions',
        body: withTools({ ...plainChat(body), ...continued(body) }),
        repair: repairWith(toolCalls()),
      }
    case 'completions':
      return toCompletion(body)
    case 'embeddings':
      if (isSet(body['dimensions'])) throw ignored('dimensions', 'Leave it out and take vectors of the model’s size.')
      return { path: '/embeddings', body, repair: null }
    case 'rerank':
      return { path: '/rerank', body: withTexts(body), repair: repairWith(ranking(body)) }
    case 'tokenize':
      return toTokenize(body)
    case 'audio/transcriptions':
      return { path: '/audio/transcriptions', body, repair: null }
    case 'audio/speech':
      throw unsupported(path, engine, insteadOf[path])
    default:
      return path satisfies never
  }
}

export const relay: NonNullable<EngineDialect['relay']> = (path, body) => {
  switch (path) {
    case 'chat/completions': {
      const fields = plainChatFields(body)
      if (fields === null || body.has('tool_choice')) return null
      return {
        path: '/chat/completions',
        fields: { ...fields, ...continuedFields(body) },
        repair: repairWith(toolCalls()),
      }
    }
    case 'completions':
      return ['echo', 'best_of', 'suffix'].some(body.has) ? null : { path: '/completions', repair: null }
    case 'embeddings':
      return body.has('dimensions') ? null : { path: '/embeddings', repair: null }
    default:
      return null
  }
}

/**
 * It knows `required` and takes a tool's name for `auto`: a named tool is the one that is offered, and it must be called.
 * With OpenAI's `allowed_tools` only those are offered.
 */
function withTools(body: Json): Json {
  const { tools, tool_choice: choice, ...rest } = body
  const named = asText(field(field(choice, 'function'), 'name'))
  const allowed = field(choice, 'allowed_tools')
  if (named === null && allowed === undefined) return body
  const names = named === null ? namesOf(field(allowed, 'tools')) : [named]
  const wanted = new Set(names)
  const offered = Array.isArray(tools) ? tools.filter(tool => wanted.has(nameOf(tool))) : []
  if (offered.length === 0) {
    const problem = `tools has no function named ${
      names
        .slice(0, 5)
        .map(name => `'${name}'`)
        .join(' or ') || 'in tool_choice'
    }.`
    throw new FaultError({ kind: 'request-invalid', param: 'tool_choice', problem })
  }
  return { ...rest, tools: offered, tool_choice: named === null ? (field(allowed, 'mode') ?? 'auto') : 'required' }
}

function toCompletion(body: Json): EngineRequest {
  const { echo, best_of: best, suffix, ...rest } = body
  if (echo === true) throw ignored('echo', 'Leave it out and put the prompt in front yourself.')
  if (typeof best === 'number' && best > 1) throw ignored('best_of', 'Leave it out, or use n and choose yourself.')
  if (!isSet(suffix) || suffix === '') return { path: '/completions', body: rest, repair: null }
  const { prompt, ...others } = rest
  if (typeof prompt !== 'string')
    throw refusal('suffix', ' beside several prompts', 'Send one prompt, a text, with it.')
  // By the tokens that the weights' file names, whatever the model is called. It cuts both sides to its batch size.
  return {
    path: '~/infill',
    body: { ...others, input_prefix: prompt, input_suffix: suffix },
    repair: infilled(asText(body['model']), asNumber(body['n']) ?? 1),
  }
}

function toTokenize(body: Json): EngineRequest {
  const { model, prompt } = body
  if (body['messages'] === undefined) {
    // As its completions begin.
    const ask = { model, content: prompt, add_special: true }
    return { path: '~/tokenize', body: ask, repair: repairWith(tokenList) }
  }
  // Versions before 2026 lack the route.
  const { messages, tools, chat_template_kwargs: kwargs } = plainChat(body)
  return {
    path: '/chat/completions/input_tokens',
    body: {
      model,
      messages,
      ...(tools === undefined ? {} : { tools }),
      ...(kwargs === undefined ? {} : { chat_template_kwargs: kwargs }),
    },
    repair: repairWith(inputTokens),
  }
}

/** It takes documents as texts alone. */
function withTexts(body: Json): Json {
  const documents = body['documents']
  if (!Array.isArray(documents)) return body
  return { ...body, documents: documents.map((document: unknown) => asText(field(document, 'text')) ?? document) }
}

const nameOf = (tool: unknown): string => asText(field(field(tool, 'function'), 'name')) ?? ''
const namesOf = (tools: unknown): string[] => (Array.isArray(tools) ? tools.map(nameOf) : [])
const isSet = (value: unknown): boolean => value !== undefined && value !== null

function ignored(name: string, instead: string): FaultError {
  return refusal(name, ', which would ignore it,', instead)
}

function refusal(name: string, when: string, instead: string): FaultError {
  return new FaultError({ kind: 'unsupported', what: `'${name}' on ${engine}${when}`, instead })
}
