/**
 * One file at an address of the web, known by its SHA-256. Redirects are followed by hand, and never from https to what is
 * not; where the first one led is asked for the ranges, until it refuses: such addresses are signed, and expire.
 */
import { ArtifactError, type PinnedFile } from '../../../domain/catalog/index.ts'
import type { Download, Registry } from '../../../services/artifact-ports.ts'
import { exchange, type Answer } from '../exchange.ts'

export type WebSource = { kind: 'web'; url: string; sha256: string }

const mostRedirects = 8

/** The name that the file is kept under. Throws ArtifactError. */
export function webFileName(url: string): string {
  const path = URL.canParse(url) ? new URL(url).pathname : ''
  const name = decode(path.slice(path.lastIndexOf('/') + 1))
  if (name !== '' && name !== '.' && name !== '..' && !/[\p{C}/\\]/u.test(name)) return name
  throw new ArtifactError('never', `${url} names no file: give the address of one`)
}

/** Nothing is asked before a verb is used. */
export function openWebFile({ silenceMs }: { silenceMs?: number } = {}): Registry<WebSource> {
  const targets = new Map<string, { first: URL; now: URL }>()

  return {
    list: async (source, signal) => {
      const { path, bytes } = await locate(source, signal)
      return [{ path, bytes }]
    },
    locate: (source, path, signal) =>
      path === webFileName(source.url) ? locate(source, signal) : Promise.resolve(null),
    async read(file, { offset, to = file.bytes, etag }, signal) {
      const whole = offset === 0 && to >= file.bytes
      const ifRange: Record<string, string> = etag?.startsWith('"') === true ? { 'if-range': etag } : {}
      const answer = await get(file, whole ? {} : { range: `bytes=${offset}-${to - 1}`, ...ifRange }, signal)
      return toDownload(answer, file, { offset, etag })
    },
  }

  async function locate(source: WebSource, signal: AbortSignal): Promise<PinnedFile> {
    const url = new URL(source.url)
    const path = webFileName(source.url)
    // Many storages sign an address for GET alone.
    const { answer, now } = await follow(url, { range: 'bytes=0-0' }, signal)
    answer.discard()
    const [, total] = /^bytes 0-0\/(\d+)$/.exec(answer.header('content-range') ?? '') ?? []
    const bytes = Number(answer.status === 206 ? (total ?? NaN) : (answer.header('content-length') ?? NaN))
    if (answer.status >= 300 && answer.status !== 416) throw refusal(answer, now)
    // Of an empty file no byte can be had.
    const length = answer.status === 416 ? 0 : bytes
    if (!Number.isSafeInteger(length))
      throw new ArtifactError('never', `${now.host} does not tell how long ${path} is: fetch it by other means`)
    targets.set(source.sha256, { first: url, now })
    return {
      repository: url.host,
      commit: '',
      path,
      bytes: length,
      digest: { algorithm: 'sha256', hex: source.sha256 },
    }
  }

  async function get(file: PinnedFile, headers: Record<string, string>, signal: AbortSignal): Promise<Answer> {
    const target = targets.get(file.digest.hex)
    if (target === undefined) throw new Error(`${file.path} was not located here`)
    const { answer, now } = await follow(target.now, headers, signal)
    if (answer.status < 300) return answer
    answer.discard()
    if (target.now === target.first || answer.status >= 500 || answer.status === 429) throw refusal(answer, now)
    target.now = target.first
    const again = await follow(target.first, headers, signal)
    if (again.answer.status >= 300) throw refusal(again.answer, again.now)
    target.now = again.now
    return again.answer
  }

  async function follow(
    from: URL,
    headers: Record<string, string>,
    signal: AbortSignal,
  ): Promise<{ answer: Answer; now: URL }> {
    let now = from
    for (let hops = 0; hops <= mostRedirects; hops++) {
      const answer = await exchange({
        ...{ method: 'GET', url: now, headers, signal },
        ...(silenceMs !== undefined && { silenceMs }),
      })
      const location = answer.header('location')
      if (answer.status < 300 || answer.status >= 400 || location === null) return { answer, now }
      answer.discard()
      if (!URL.canParse(location, now.href))
        throw new ArtifactError('never', `${now.host} redirects to what is no address`)
      const next = new URL(location, now)
      if (next.protocol !== 'https:' && (now.protocol === 'https:' || next.protocol !== 'http:'))
        throw new ArtifactError(
          'never',
          `${now.host} redirects to ${next.host} without encryption: that is not followed`,
        )
      now = next
    }
    throw new ArtifactError('never', `${from.host} redirects more than ${mostRedirects} times`)
  }
}

function toDownload(
  answer: Answer,
  file: PinnedFile,
  { offset, etag }: { offset: number; etag: string | null },
): Download {
  const is = answer.header('etag')
  if (answer.status === 206) {
    const [, from, last, total] = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(answer.header('content-range') ?? '') ?? []
    const same = etag === null || is === etag
    if (Number(from) === offset && same && (total === '*' || Number(total) === file.bytes))
      return { offset, to: Number(last) + 1, etag: is, bytes: answer.bytes() }
  }
  const length = answer.header('content-length')
  if (answer.status === 200 && (length === null || Number(length) === file.bytes))
    return { offset: 0, etag: is, bytes: answer.bytes() }
  answer.discard()
  throw new ArtifactError('soon', `${file.path}: ${file.repository} has another file now, or sends other bytes of it`)
}

function refusal(answer: Answer, url: URL): ArtifactError {
  const { status } = answer
  const soon = status === 429 || status === 408 || status >= 500
  const closed = status === 401 || status === 403 ? ': it wants a login. Fetch the file by other means' : ''
  const after = Number(answer.header('retry-after') ?? NaN)
  return new ArtifactError(soon ? 'soon' : 'never', `${url.host} answers ${status}${closed}`, {
    afterMs: Number.isFinite(after) ? after * 1000 : null,
  })
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return ''
  }
}
