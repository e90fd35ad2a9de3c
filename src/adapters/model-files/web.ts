/** A model at an address: read by ranges; where the server knows none, from its beginning, up to a bound. */
import { ArtifactError, shown } from '../../domain/catalog/index.ts'
import type { ModelFile, ModelPlace } from '../../services/inspect-ports.ts'

/** What is kept of a file whose server knows no ranges. */
const mostPrefixBytes = 128 * 1024 * 1024
const firstBytes = 64 * 1024
const usualSilenceMs = 30_000

export type WebSettings = {
  signal: AbortSignal
  /** Longest wait for a head, or for the next bytes. */
  silenceMs?: number
}

/** Nothing is asked before a file is opened. Files beside it are looked for under the same address. */
export function openWebPlace(url: string, { signal, silenceMs = usualSilenceMs }: WebSettings): ModelPlace {
  if (!URL.canParse(url)) throw new ArtifactError('never', `${shown(url)} is no address`)
  const address = new URL(url)
  const file = decodeURIComponent(address.pathname.slice(address.pathname.lastIndexOf('/') + 1))
  if (file === '')
    throw new ArtifactError('never', `${shown(url)} is a folder, and the web has no lists of them: name a file of it`)
  return {
    name: url,
    file,
    list: () => Promise.resolve(null),
    open: path => openFile(addressOf(address, { path, file }), { signal, silenceMs }),
  }
}

function addressOf(address: URL, { path, file }: { path: string; file: string }): URL {
  if (path === file) return address
  const other = new URL(path.split('/').map(encodeURIComponent).join('/'), address)
  // `?download=true` is for all; a signature is for one alone, and then the others are not found.
  other.search = address.search
  return other
}

type Asking = Required<WebSettings>

async function openFile(url: URL, asking: Asking): Promise<ModelFile | null> {
  const first = await ask(url, { ...asking, at: 0, bytes: firstBytes })
  if (first.response.status === 404 || first.response.status === 410) {
    await first.end()
    return null
  }
  if (first.response.status === 206) {
    const bytes = totalOf(first.response)
    const beginning = await first.take(firstBytes)
    await first.end()
    return {
      bytes,
      read: (at, count) => readRange(url, { ...asking, at, bytes: count, beginning, total: bytes }),
      close: () => Promise.resolve(),
    }
  }
  // An empty file has no range.
  if (first.response.status === 416) {
    await first.end()
    return { bytes: 0, read: () => Promise.resolve(new Uint8Array(0)), close: () => Promise.resolve() }
  }
  if (first.response.status === 200) return fromBeginning(url, first)
  await first.end()
  throw refusal(url, first.response)
}

type Range = Asking & { at: number; bytes: number }

async function readRange(
  url: URL,
  { beginning, total, ...range }: Range & { beginning: Uint8Array; total: number },
): Promise<Uint8Array> {
  const bytes = Math.min(range.bytes, total - range.at)
  if (bytes <= 0) return new Uint8Array(0)
  if (range.at + bytes <= beginning.length) return beginning.slice(range.at, range.at + bytes)
  const answer = await ask(url, { ...range, bytes })
  try {
    if (answer.response.status !== 206) throw refusal(url, answer.response)
    const [, from] = /^bytes (\d+)-/.exec(answer.response.headers.get('content-range') ?? '') ?? []
    if (Number(from) !== range.at)
      throw new ArtifactError(
        'never',
        `${url.host} was asked for bytes from ${range.at} and sends others: fetch the file first`,
      )
    return await answer.take(bytes)
  } finally {
    await answer.end()
  }
}

/** One answer, read on as far as is asked for, and kept. */
function fromBeginning(url: URL, answer: Answer): ModelFile {
  const length = Number(answer.response.headers.get('content-length') ?? NaN)
  let kept = new Uint8Array(0)
  return {
    bytes: Number.isSafeInteger(length) ? length : Infinity,
    async read(at, bytes) {
      const end = at + bytes
      if (end > mostPrefixBytes)
        throw new ArtifactError(
          'never',
          `${url.host} sends files only from their beginning (it knows no ranges), and byte ${end} of this one is needed: fetch the file, and inspect it here`,
        )
      if (end > kept.length) {
        const more = await answer.take(end - kept.length)
        const longer = new Uint8Array(kept.length + more.length)
        longer.set(kept)
        longer.set(more, kept.length)
        kept = longer
      }
      return kept.slice(at, end)
    },
    close: () => answer.end(),
  }
}

type Answer = {
  response: Response
  /** The next so many bytes; fewer at the end. Throws ArtifactError when they do not come. */
  take(bytes: number): Promise<Uint8Array>
  end(): Promise<void>
}

async function ask(url: URL, { signal, silenceMs, at, bytes }: Range): Promise<Answer> {
  const silence = new AbortController()
  let timer = setTimeout(() => silence.abort(), silenceMs)
  const fail = (cause: unknown): never => {
    signal.throwIfAborted()
    throw new ArtifactError(
      'soon',
      `${url.host} ${silence.signal.aborted ? `was silent for ${silenceMs / 1000} s` : `can't be reached, or cut the connection (${reason(cause)})`}`,
      { cause },
    )
  }
  const response = await fetch(url, {
    signal: AbortSignal.any([signal, silence.signal]),
    headers: { 'accept-encoding': 'identity', 'user-agent': 'holdfast', 'range': `bytes=${at}-${at + bytes - 1}` },
  })
    .catch(fail)
    .finally(() => clearTimeout(timer))
  const pieces = response.body?.getReader() ?? null
  let rest = new Uint8Array(0)

  return {
    response,
    async take(count) {
      const taken = new Uint8Array(count)
      let filled = 0
      while (filled < count) {
        if (rest.length === 0) {
          timer = setTimeout(() => silence.abort(), silenceMs)
          const next = await (pieces?.read() ?? Promise.resolve({ done: true as const, value: undefined }))
            .catch(fail)
            .finally(() => clearTimeout(timer))
          if (next.value === undefined) break
          rest = new Uint8Array(next.value)
        }
        const part = rest.subarray(0, count - filled)
        taken.set(part, filled)
        filled += part.length
        rest = rest.slice(part.length)
      }
      return taken.subarray(0, filled)
    },
    // A server that goes on sending is not listened to.
    end: async () => {
      await pieces?.cancel().catch(() => {})
    },
  }
}

function totalOf(response: Response): number {
  const [, total] = /^bytes \d+-\d+\/(\d+)$/.exec(response.headers.get('content-range') ?? '') ?? []
  return total === undefined ? Infinity : Number(total)
}

function refusal(url: URL, { status }: Response): ArtifactError {
  const soon = status === 429 || status === 408 || status >= 500
  const closed = status === 401 || status === 403 ? ': it wants a login. Fetch the file, and inspect it here' : ''
  return new ArtifactError(soon ? 'soon' : 'never', `${url.host} answers ${status} for ${shown(url.pathname)}${closed}`)
}

/** undici says «fetch failed» and keeps the reason in the cause. */
function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { cause } = error
  if (!(cause instanceof Error)) return error.message
  return 'code' in cause && typeof cause.code === 'string' ? cause.code : cause.message
}
