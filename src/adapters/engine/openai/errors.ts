/**
 * What engines' errors mean, so that they tell the cause and the remedy. Shapes: OpenAI's, vLLM's (`object: "error"`),
 * llama.cpp's, FastAPI's `detail`, and `error` as a text (TGI, Triton, Ollama).
 */
import type { Fault } from '../../../domain/fault.ts'
import { tokens } from '../../../domain/units.ts'
import { asNumber, asText, field, parseJson } from './json.ts'

const longestMessage = 1_000

/** `text` is the answer's body; engines and the proxies before them also send HTML and nothing. */
export function toFault(status: number, text: string): Fault {
  const error = readError(text)
  const detail = error.message.slice(0, longestMessage)
  if (status === 401 || status === 403) {
    return {
      kind: 'engine-failed',
      status,
      detail: "it refuses the credentials that the spec gives for it (the replica's apiKey)",
    }
  }
  const broken = whatBroke(detail)
  if (broken !== null && status !== 400) return { kind: 'engine-failed', status, detail: broken }
  const unknown = modelUnknown(detail)
  if (unknown !== null && status < 500) return { kind: 'engine-failed', status, detail: unknown }
  // No failure of the engine's: all else that it has goes on working.
  if (status === 404 && routeMissing.test(detail)) return { kind: 'unsupported', ...withoutRoute }
  if (status === 404) return { kind: 'engine-failed', status, detail }
  if (status === 408 || status === 429 || status === 503 || busy.test(detail))
    return { kind: 'not-ready', why: detail || `the engine answered ${status}` }
  if (status >= 400 && status < 500) {
    const context = readContext(error, detail)
    if (context !== null) return context
    return {
      kind: 'engine-refused',
      status,
      message: withRemedy(detail) || `The engine refused the request (HTTP ${status}).`,
      param: error.param,
      code: error.code,
    }
  }
  return { kind: 'engine-failed', status, detail: detail || 'without saying why' }
}

/** A web server's own words for a path that it does not have; a proxy's page has none that are read. */
const routeMissing = /^((file )?not found|unknown request url.*|)$/i
const withoutRoute = {
  what: 'This on the engine that serves the model, which has no such route,',
  instead: "Newer releases of it may: update it. If it answers nothing at all, the replica's url in the spec is wrong.",
}

type EngineError = {
  message: string
  param: string | null
  code: string | null
  asked: number | null
  limit: number | null
}

function readError(text: string): EngineError {
  // Not JSON: a proxy's page. Its text helps nobody.
  const parsed = parseJson(text)
  const body = field(parsed, 'error') ?? parsed
  if (typeof body === 'string') return { message: body, param: null, code: null, asked: null, limit: null }
  const detail = field(body, 'detail')
  const invalid = Array.isArray(detail) ? readInvalid(detail) : null
  return {
    message: asText(field(body, 'message')) ?? asText(detail) ?? invalid?.message ?? '',
    param: asText(field(body, 'param')) ?? invalid?.param ?? null,
    code: asText(field(body, 'code')),
    asked: asNumber(field(body, 'n_prompt_tokens')),
    limit: asNumber(field(body, 'n_ctx')),
  }
}

/** FastAPI's list of what is wrong with a body: `{loc: ['body', 'messages', 0], msg}`. The first ones tell enough. */
function readInvalid(problems: readonly unknown[]): { message: string; param: string | null } {
  const read = problems.slice(0, 3).flatMap(problem => {
    const said = asText(field(problem, 'msg'))
    const loc = field(problem, 'loc')
    const path = Array.isArray(loc) ? loc.filter(part => part !== 'body').map(String) : []
    return said === null ? [] : [{ said, path }]
  })
  return {
    message: read.map(({ said, path }) => (path.length > 0 ? `'${path.join('.')}': ${said}` : said)).join('; '),
    param: read[0]?.path[0] ?? null,
  }
}

/** Triton says so with 400. */
const busy = /not ready for inference|exceeds maximum queue size|queue is full/i

/** Failures of the engine itself, whatever status they come with. */
function whatBroke(message: string): string | null {
  const words = `(in its words: ${message.slice(0, 200)})`
  if (/out of memory|OutOfMemory/i.test(message))
    return `it ran out of GPU memory: give it a shorter context or fewer requests at once in engine.flags, or a larger GPU ${words}`
  if (
    /EngineDead|EngineCore encountered|background loop (has errored|is not running)|engine (process )?is dead/i.test(
      message,
    )
  )
    return `its engine process is dead behind a web server that still answers: restart it ${words}`
  return null
}

function modelUnknown(message: string): string | null {
  const name = /(?:the )?model [`'"]([^`'"]{1,256})[`'"] (?:does not exist|not found)|^unknown model: (\S+)/i.exec(
    message,
  )
  if (name === null) return null
  return `it serves no model named '${name[1] ?? name[2]}'. Set engine.servedName of the version to a name that it lists under GET /v1/models`
}

function withRemedy(message: string): string {
  if (/requires --enable-auto-tool-choice/.test(message))
    return `${message} Start the engine so: engine.flags of the version need enable-auto-tool-choice: true and tool-call-parser: <the one of this model family>.`
  if (/--tool-call-parser to be set|tool_parser|tool parser/.test(message))
    return `${message} Start the engine so: engine.flags of the version need the tool call parser of this model family.`
  return message
}

/**
 * How engines say that a request is too long for them: `asked` tokens of input, `more` for the answer, and the `limit`.
 * llama.cpp gives numbers as fields instead.
 */
const contextWordings: readonly RegExp[] = [
  // Our own: the embedded engine, and another Holdfast behind this one
  /needs (?<asked>\d+) tokens, and this model's maximum context length is (?<limit>\d+) tokens/,
  // vLLM, from new to old
  /passed (?<asked>\d+) input tokens and requested (?<more>\d+) output tokens\..*? context length is only (?<limit>\d+)/,
  /too large: (?<more>\d+)\..*? context length is (?<limit>\d+) tokens and your request has (?<asked>\d+) input/,
  /prompt \(length (?<asked>\d+)\) is longer than the maximum model length of (?<limit>\d+)/,
  /context length is (?<limit>\d+) tokens\..*? for a total of at least (?<asked>\d+) tokens/,
  // vLLM, and SGLang for a sum
  /maximum (?:context|model) length[^\d]*(?<limit>\d+).*?(?:requested|has|contains|resulted in)[^\d]*(?<asked>\d+)[^\d]*tokens/is,
  // SGLang
  /input \((?<asked>\d+) tokens\) is longer than the model's context length \((?<limit>\d+)/i,
  /input length \((?<asked>\d+)[^)]*\) exceeds the maximum allowed length \((?<limit>\d+)/i,
  // TensorRT-LLM, alone and under Triton
  /prompt length \((?<asked>\d+)[^)]*\).*?max_tokens \((?<more>\d+)\) should not exceed \S+ \((?<limit>\d+)/i,
  /prompt length \((?<asked>\d+)[^)]*\).*? should not exceed \S+ \((?<limit>\d+)/i,
  /prompt length \((?<asked>\d+)\) exceeds maximum input length \((?<limit>\d+)/i,
  // TGI
  /must be <= (?<limit>\d+)\. Given: (?<asked>\d+) `inputs` tokens and (?<more>\d+)/,
  /`inputs` must have less than (?<limit>\d+) tokens\. Given: (?<asked>\d+)/,
]

function readContext(error: EngineError, message: string): Fault | null {
  if (error.asked !== null && error.limit !== null) return exceeded(error.asked, error.limit)
  for (const wording of contextWordings) {
    const { asked, more = '0', limit } = wording.exec(message)?.groups ?? {}
    if (asked !== undefined && limit !== undefined) return exceeded(Number(asked) + Number(more), Number(limit))
  }
  return null
}

function exceeded(asked: number, limit: number): Fault {
  return { kind: 'context-exceeded', asked: tokens(asked), limit: tokens(limit) }
}
