/**
 * One request to a store of objects, by node:http rather than fetch: a length is told for a body that is streamed (S3 and
 * proxies ask for it), `Expect: 100-continue` has a refusal come before sixty gigabytes go, and no time limit is hidden.
 * No redirect is followed here.
 */
import { request as requestHttp, type ClientRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http'
import { request as requestHttps } from 'node:https'
import { ArtifactError } from '../../domain/catalog/index.ts'

export type Ask = {
  method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE'
  url: URL
  headers?: Record<string, string>
  body?: { bytes: number; open(): AsyncIterable<Uint8Array> }
  /** Longest wait for a head, or for the next byte to come or go. */
  silenceMs?: number
  signal: AbortSignal
}

export type Answer = {
  status: number
  /** What stands behind the status; Nexus says there what it refuses. */
  reason: string
  header(name: string): string | null
  /** The body. Ends with an ArtifactError when it is cut. */
  bytes(): AsyncIterable<Uint8Array>
  /** A small body; a large one ends with an ArtifactError. */
  text(): Promise<string>
  /** Nothing more of it is wanted. */
  discard(): void
}

const usualSilenceMs = 30_000
/** A store makes its last checks, and moves what it was given, between the last byte and its answer. */
const answerMs = 600_000
/** As curl does: a server that knows nothing of `Expect` says nothing. */
const continueMs = 1_000
const expectFrom = 1024 * 1024
/** A page of a thousand objects is about 400 KB. */
const mostText = 8 * 1024 * 1024
const mostRest = 64 * 1024

/** Resolves with any status. Throws ArtifactError when there is no answer. */
export async function exchange(ask: Ask): Promise<Answer> {
  const { url, body, signal, silenceMs = usualSilenceMs } = ask
  signal.throwIfAborted()
  const silence = new AbortController()
  const watch = watcher(silence, silenceMs)
  const fail = (cause: unknown): never => {
    signal.throwIfAborted()
    if (cause instanceof ArtifactError) throw cause
    const reason: unknown = silence.signal.aborted ? silence.signal.reason : cause
    throw new ArtifactError(isOfCertificate(reason) ? 'never' : 'soon', `${url.host} ${saying(reason)}`, { cause })
  }
  const ended = AbortSignal.any([signal, silence.signal])
  watch.start()
  const request = start(ask, ended)
  try {
    const answered = Promise.withResolvers<IncomingMessage>()
    request.once('response', answered.resolve)
    // For good: what comes after the answer is told by its body.
    request.on('error', answered.reject)
    // Awaited below; until then a cut must not count as unhandled.
    answered.promise.catch(() => undefined)
    const sent = body === undefined ? request.end() : send(request, { body, answered: answered.promise, watch })
    const response = await Promise.race([answered.promise, Promise.resolve(sent).then(() => answered.promise)])
    watch.stop()
    return toAnswer(response, { request, watch, fail })
  } catch (cause) {
    watch.stop()
    request.destroy()
    return fail(cause)
  }
}

type Watch = { start(): void; stop(): void; wait(ms: number): void }

function watcher(silence: AbortController, silenceMs: number): Watch {
  let timer: NodeJS.Timeout | undefined
  const stop = (): void => clearTimeout(timer)
  const wait = (ms: number): void => {
    stop()
    timer = setTimeout(() => silence.abort(new Error(`was silent for ${ms / 1000} s`)), ms)
  }
  return { start: () => wait(silenceMs), stop, wait }
}

function start({ method, url, headers, body }: Ask, signal: AbortSignal): ClientRequest {
  const request = url.protocol === 'https:' ? requestHttps : requestHttp
  return request(url, {
    method,
    signal,
    headers: {
      // Lengths, ranges and digests are of the object, not of a compressed form of it.
      'accept-encoding': 'identity',
      'user-agent': 'holdfast',
      ...(body === undefined ? {} : { 'content-length': String(body.bytes) }),
      ...(body !== undefined && body.bytes >= expectFrom ? { expect: '100-continue' } : {}),
      ...headers,
    },
  })
}

/** A server may answer before it has all: then it wants no more. */
async function send(
  request: ClientRequest,
  { body, answered, watch }: { body: NonNullable<Ask['body']>; answered: Promise<unknown>; watch: Watch },
): Promise<void> {
  let over = false
  const enough = answered.then(
    () => void (over = true),
    () => void (over = true),
  )
  if (request.getHeader('expect') !== undefined) await mayGoOn(request, enough)
  if (over) return
  for await (const piece of body.open()) {
    if (over) break
    watch.start()
    if (!request.write(piece)) await Promise.race([new Promise(resolve => request.once('drain', resolve)), enough])
  }
  if (over) return
  watch.wait(answerMs)
  request.end()
}

async function mayGoOn(request: ClientRequest, enough: Promise<void>): Promise<void> {
  request.flushHeaders()
  let timer: NodeJS.Timeout | undefined
  await Promise.race([
    new Promise(resolve => request.once('continue', resolve)),
    new Promise(resolve => (timer = setTimeout(resolve, continueMs))),
    enough,
  ])
  clearTimeout(timer)
}

function toAnswer(
  response: IncomingMessage,
  { request, watch, fail }: { request: ClientRequest; watch: Watch; fail: (cause: unknown) => never },
): Answer {
  const leave = (): void => {
    response.destroy()
    // An answer that came early: the connection is of no use any more.
    if (!request.writableEnded) request.destroy()
  }
  // A body that nobody reads may end as it likes.
  response.on('error', () => undefined)
  async function* bytes(): AsyncGenerator<Uint8Array> {
    try {
      watch.start()
      // A response in bytes (no encoding was set) yields Buffers.
      for await (const piece of response as AsyncIterable<Uint8Array>) {
        watch.stop()
        yield piece
        watch.start()
      }
    } catch (cause) {
      fail(cause)
    } finally {
      watch.stop()
      leave()
    }
  }
  return {
    status: response.statusCode ?? 0,
    reason: response.statusMessage ?? '',
    header: name => single(response.headers, name),
    bytes,
    async text() {
      const pieces: Uint8Array[] = []
      let length = 0
      for await (const piece of bytes()) {
        length += piece.length
        if (length > mostText)
          throw new ArtifactError('never', `${request.host} answers with more text than is read here`)
        pieces.push(piece)
      }
      return Buffer.concat(pieces).toString('utf8')
    },
    discard() {
      // A short rest is read, so that the connection can be used again.
      const left = request.method === 'HEAD' ? 0 : Number(single(response.headers, 'content-length') ?? NaN)
      if (left <= mostRest && request.writableEnded) response.resume()
      else leave()
    },
  }
}

function single(headers: IncomingHttpHeaders, name: string): string | null {
  const value = headers[name]
  return (Array.isArray(value) ? value[0] : value) ?? null
}

function saying(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause)
  if (cause.message.startsWith('was silent')) return cause.message
  const code = codeOf(cause) ?? cause.message
  if (isOfCertificate(cause))
    return `has a certificate that is not believed here (${code}): for an authority of your own, NODE_EXTRA_CA_CERTS names the file`
  return /^(ECONNRESET|EPIPE|ERR_STREAM_PREMATURE_CLOSE$|HPE_)/.test(code)
    ? `cut the connection (${code})`
    : `can't be reached (${code}): is the registry's url right, and is there a way to it?`
}

const codeOf = (cause: unknown): string | null =>
  cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : null

/** As Node names them, after OpenSSL. */
const isOfCertificate = (cause: unknown): boolean => /CERT|UNABLE_TO_VERIFY|ALTNAME/.test(codeOf(cause) ?? '')
