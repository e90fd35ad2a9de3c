/** The dialect out: OpenAI's own paths and bodies, and what other dialects share of it. */
import { fimPrompt } from '../../../domain/catalog/index.ts'
import { FaultError } from '../../../domain/fault.ts'
import type { EnginePath } from '../../../domain/serving/index.ts'
import type { VersionName } from '../../../domain/units.ts'
import type { EngineDialect } from '../../../services/serve/index.ts'
import { embeddingRepair } from './embeddings.ts'
import { asText, type Json } from './json.ts'
import { reasoning, repairWith, usageTotal } from './repair.ts'
import { ranking } from './rerank.ts'
import { saidCalls, saidCallsOf } from './said-calls.ts'
import { countByCompletion } from './tokenize.ts'
import { toolCalls } from './tool-calls.ts'

/** What an address that only says it is OpenAI-compatible is asked: nothing is taken away, and all is mended. */
export const toRequest: EngineDialect['toRequest'] = (path, body) => {
  switch (path) {
    case 'chat/completions':
      return {
        path: '/chat/completions',
        body: withoutOurs(body),
        repair: repairWith(reasoning, ...saidCalls(body), toolCalls(), usageTotal),
      }
    case 'completions':
      return { path: '/completions', body, repair: repairWith(usageTotal) }
    case 'embeddings':
      return { path: '/embeddings', body, repair: embeddingRepair(body) }
    case 'rerank':
      return { path: '/rerank', body, repair: repairWith(ranking(body)) }
    case 'tokenize':
      return countByCompletion('this engine', body)
    case 'audio/transcriptions':
    case 'audio/speech':
      return { path: `/${path}`, body, repair: null }
    default:
      return path satisfies never
  }
}

export const relay: NonNullable<EngineDialect['relay']> = (path, body) => {
  switch (path) {
    case 'chat/completions':
      return {
        path: '/chat/completions',
        fields: { continue_final_message: undefined },
        repair: repairWith(reasoning, ...saidCallsOf(body), toolCalls(), usageTotal),
      }
    case 'completions':
      return { path: '/completions', repair: repairWith(usageTotal) }
    case 'embeddings':
      return { path: '/embeddings', repair: embeddingRepair({ encoding_format: body.field('encoding_format') }) }
    default:
      return null
  }
}

/** But for what a translation of ours notes for engines that know it: a strict address refuses fields it does not know. */
function withoutOurs(body: Json): Json {
  if (body['continue_final_message'] === undefined) return body
  const { continue_final_message: _, ...rest } = body
  return rest
}

/**
 * A completion for an engine that knows no `suffix`: with one, the prompt becomes the base model's own format for
 * filling in the middle. Throws FaultError `unsupported` where none is known.
 */
export function withoutSuffix(engine: string, body: Json, version: VersionName): Json {
  const { suffix, ...plain } = body
  if (suffix === undefined || suffix === null || suffix === '') return plain
  const prompt = asText(plain['prompt'])
  const filled = prompt === null ? null : fimPrompt(version, { prefix: prompt, suffix: String(suffix) })
  if (filled !== null) return { ...plain, prompt: filled }
  const why = prompt === null ? 'with several prompts' : `with the base model of ${version}, whose format is not known,`
  throw new FaultError({
    kind: 'unsupported',
    what: `'suffix' (filling in the middle) on ${engine} ${why}`,
    instead: 'Leave out suffix, or ask a model made for code, with one prompt.',
  })
}

/** `instead`: what to do, a whole sentence. */
export function unsupported(path: EnginePath, engine: string, instead: string): FaultError {
  return new FaultError({ kind: 'unsupported', what: `/v1/${path} on ${engine}`, instead })
}

/** What the gateway can do when an engine has no such route. */
export const insteadOf: Record<Exclude<EnginePath, 'chat/completions' | 'completions' | 'tokenize'>, string> = {
  'embeddings': 'Serve the embedding model with vllm, sglang or llama-cpp.',
  'rerank': 'Serve the reranking model with vllm, sglang or llama-cpp.',
  'audio/transcriptions': 'Serve the model with vllm.',
  'audio/speech': 'Serve the model with a server of kind openai that has this route.',
}
