/** The ports of services/evaluate over HTTP. */
import { readAnswer } from '../../domain/dialect/index.ts'
import type { TokenChance } from '../../domain/evaluation/index.ts'
import { AskError, type Ask, type AskOptions, type Embed } from '../../services/evaluate/index.ts'
import { field, listAt, parseJson, textAt } from './json.ts'
import { post, type Address, type Posted } from './post.ts'

/** What older engines refuse; they are then asked without, and what they say is mended. */
type Extra = 'schema' | 'chances'

/** An engine that refuses guided decoding or chances is asked without them from then on, if that is what it takes. */
export function askAt(address: Address): Ask {
  const refused = new Set<Extra>()
  return async (messages, options) => {
    const startedAt = performance.now()
    const send = (without: ReadonlySet<Extra>) =>
      post(address, '/v1/chat/completions', {
        body: bodyOf(address.model, messages, { options, without }),
        signal: options.signal,
      })
    let posted = await send(refused)
    for (const extras of fewerOf(options, refused)) {
      if (!isRefusal(posted)) break
      posted = await send(new Set([...refused, ...extras]))
      if (posted.status === 200) for (const extra of extras) refused.add(extra)
    }
    const value = valueOf(posted, address)
    const { text, toolCalls, finish } = readChat(value, address)
    return {
      ...{ text, toolCalls, finish },
      tokens: readChances(value),
      latencyMs: performance.now() - startedAt,
      version: posted.version ?? textAt(value, 'model'),
    }
  }
}

export function embedAt(address: Address): Embed {
  return async (texts, signal) => {
    const body = { model: address.model, input: texts, encoding_format: 'float' }
    const value = valueOf(await post(address, '/v1/embeddings', { body, signal }), address)
    const vectors = listAt(value, 'data').map(entry => ({
      at: Number(field(entry, 'index') ?? 0),
      vector: listAt(entry, 'embedding'),
    }))
    const sorted = vectors.toSorted((a, b) => a.at - b.at).map(({ vector }) => vector.map(Number))
    if (sorted.length === texts.length && sorted.every(vector => vector.length > 0 && vector.every(Number.isFinite)))
      return sorted
    throw new AskError(`${address.url} answered ${sorted.length} vectors to ${texts.length} texts`, { again: false })
  }
}

function bodyOf(
  model: string,
  messages: readonly unknown[],
  { options, without }: { options: AskOptions; without: ReadonlySet<Extra> },
): object {
  const { seed, temperature, maxTokens, tools, schema, chances } = options
  return {
    ...{ model, messages, seed },
    ...(temperature === undefined ? {} : { temperature }),
    ...(maxTokens === undefined ? {} : { max_tokens: maxTokens }),
    ...(tools === undefined ? {} : { tools }),
    ...(schema === undefined || without.has('schema')
      ? {}
      : { response_format: { type: 'json_schema', json_schema: { ...schema, strict: true } } }),
    ...(chances === true && !without.has('chances') ? { logprobs: true, top_logprobs: 20 } : {}),
  }
}

/** What to leave out, attempt by attempt: each alone, the rarer one first, then both. */
function fewerOf({ schema, chances }: AskOptions, refused: ReadonlySet<Extra>): Extra[][] {
  const asked: Extra[] = [
    ...(chances === true ? ['chances' as const] : []),
    ...(schema === undefined ? [] : ['schema' as const]),
  ].filter(extra => !refused.has(extra))
  return asked.length < 2 ? asked.map(extra => [extra]) : [...asked.map(extra => [extra]), asked]
}

const isRefusal = ({ status }: Posted): boolean => [400, 422, 501].includes(status)

function valueOf({ status, text, retryAfterMs }: Posted, { url, model }: Address): unknown {
  const value = parseJson(text)
  if (status === 200 && value !== undefined) return value
  const said = textAt(field(value, 'error'), 'message') ?? textAt(value, 'message') ?? text.slice(0, 200)
  throw new AskError(`${url} answered ${status} for ${model}: ${said}`, {
    again: status === 200 || status === 408 || status === 429 || status >= 500,
    afterMs: retryAfterMs,
  })
}

function readChat(value: unknown, { url, model }: Address): ReturnType<typeof readAnswer> {
  try {
    return readAnswer(value)
  } catch (error) {
    throw new AskError(`${url} answered 200 for ${model}, but no completion`, { again: false, cause: error })
  }
}

/** `null`: the engine did not tell any. */
function readChances(value: unknown): TokenChance[] | null {
  const tokens = listAt(field(listAt(value, 'choices')[0], 'logprobs'), 'content')
  if (tokens.length === 0) return null
  return tokens.map(token => ({
    text: textAt(token, 'token') ?? '',
    others: listAt(token, 'top_logprobs').map(other => ({
      text: textAt(other, 'token') ?? '',
      chance: Math.exp(Number(field(other, 'logprob') ?? -Infinity)),
    })),
  }))
}
