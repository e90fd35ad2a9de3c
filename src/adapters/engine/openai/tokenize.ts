/** Counting tokens: `{count, tokens, max_model_len}` from every engine, whatever it has for it. */
import { FaultError } from '../../../domain/fault.ts'
import type { EngineRequest } from '../../../services/serve/index.ts'
import { asCount, asNumber, field, type Json } from './json.ts'
import { plainChat } from './chat.ts'
import { answerFailed, repairWith, type Mend } from './repair.ts'

/** vLLM's answer, and engines' that have the same fields. */
export const tokenCount: Mend = {
  marks: [],
  whole(answer) {
    const count = field(answer, 'count')
    // A list of prompts gets a list of counts.
    const counts: unknown[] = Array.isArray(count) ? count : [count]
    const total = counts.reduce<number>((sum, one) => sum + (asCount(one) ?? NaN), 0)
    if (asCount(total) === null) throw answerFailed('its answer tells no count of tokens')
    const tokens = field(answer, 'tokens')
    const limit = asNumber(field(answer, 'max_model_len'))
    return {
      count: total,
      tokens: Array.isArray(tokens) ? tokens.flat() : null,
      // Tokenizers that know no limit say -1 or a number beyond all contexts.
      max_model_len: limit !== null && limit > 0 && limit < 1e9 ? limit : null,
    }
  },
}

/**
 * For engines that count no tokens: an answer of one token, whose usage tells the prompt's. It costs the engine one
 * prefill, so a long prompt takes as long as the answer to it would take to begin.
 */
export function countByCompletion(engine: string, body: Json): EngineRequest {
  const repair = repairWith({
    marks: [],
    whole(answer) {
      const count = asCount(field(field(answer, 'usage'), 'prompt_tokens'))
      if (count !== null) return { count, tokens: null, max_model_len: null }
      const what = `Counting tokens on ${engine}, which does not tell the usage of an answer,`
      throw new FaultError({ kind: 'unsupported', what, instead: 'Serve the model with vllm or llama-cpp for that.' })
    },
  })
  const { model, prompt } = body
  if (body['messages'] === undefined)
    return { path: '/completions', body: { model, prompt, max_tokens: 1, stream: false }, repair }
  const { messages, tools, chat_template_kwargs: kwargs } = plainChat(body)
  return {
    path: '/chat/completions',
    body: {
      model,
      messages,
      // Offered, so that they are counted; not chosen, since engines want a parser for that.
      ...(Array.isArray(tools) && tools.length > 0 ? { tools, tool_choice: 'none' } : {}),
      ...(kwargs === undefined ? {} : { chat_template_kwargs: kwargs }),
      max_tokens: 1,
      stream: false,
    },
    repair,
  }
}
