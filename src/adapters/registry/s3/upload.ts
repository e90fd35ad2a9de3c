/**
 * An object in parts, several at once. The store shows nothing of it before the last request; what a killed writer left
 * is gone on with, part by part, where digests say that it is the same. (docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html)
 */
import { createHash, type Hash } from 'node:crypto'
import { ArtifactError } from '../../../domain/catalog/index.ts'
import type { Upload } from '../../../services/registry/index.ts'
import { again } from '../again.ts'
import { changed, checked } from '../checked.ts'
import { abortUpload, findUpload, type OpenUpload, type StoredPart } from './open-uploads.ts'
import { S3Refusal } from './refusal.ts'
import { askForXml, askOnce, bodyOf, type Store } from './request.ts'
import { textIn } from './xml.ts'

const mostParts = 10_000
const parallel = 4
const mebibyte = 1024 * 1024
/** Another writer of the same object may finish or end the upload that both go on with. */
const mostRounds = 4

type Part = { number: number; from: number; to: number; sha256: string; etag: string }
type Digests = { sha256: string; md5: string | null }
type Whole = { path: string; upload: Upload; partBytes: number }

export async function uploadInParts(
  store: Store,
  { path, upload, partBytes }: Whole,
  signal: AbortSignal,
): Promise<void> {
  // Depends on the length alone: whoever goes on with it later cuts it as it was cut.
  const larger = Math.ceil(upload.bytes / mostParts / mebibyte) * mebibyte
  const whole = { path, upload, partBytes: upload.bytes / partBytes > mostParts ? larger : partBytes }
  for (let round = 1; ; round++) {
    const found = await findUpload(store, path, signal)
    const open = found ?? (await beginUpload(store, path, signal))
    try {
      const parts = await sendParts(store, open, { ...whole, signal })
      await complete(store, { path, open, parts }, signal)
      return
    } catch (error) {
      if (!(error instanceof S3Refusal) || round >= mostRounds) throw error
      if (error.told.code === 'NoSuchUpload') {
        if (await isThere(store, whole, signal)) return
      } else if (found !== null && error.told.status === 400) {
        // What was found can't be gone on with as this store understands it.
        await abortUpload(store, { path, id: open.id }, signal)
      } else throw error
    }
  }
}

async function beginUpload(store: Store, path: string, signal: AbortSignal): Promise<OpenUpload> {
  const begin = async (checksums: boolean): Promise<OpenUpload> => {
    const headers: Record<string, string> = checksums ? { 'x-amz-checksum-algorithm': 'SHA256' } : {}
    const what = `beginning an upload of ${path}`
    const root = 'InitiateMultipartUpload'
    const started = await askForXml(
      store,
      { method: 'POST', path, query: { uploads: '' }, headers, what, root },
      signal,
    )
    const id = textIn(started, 'UploadId')
    if (id === null) throw new ArtifactError('never', `${store.bucket.name}: ${what} is answered without its id`)
    return { id, checksums, parts: new Map() }
  }
  try {
    return await begin(true)
  } catch (error) {
    if (error instanceof S3Refusal && (error.told.status === 400 || error.told.status === 501)) return begin(false)
    throw error
  }
}

/** Reads the file once in order, for the digest of the whole and of each part, and sends behind that what is missing. */
async function sendParts(
  store: Store,
  open: OpenUpload,
  { path, upload, partBytes, signal }: Whole & { signal: AbortSignal },
): Promise<Part[]> {
  const failed = new AbortController()
  const ended = AbortSignal.any([signal, failed.signal])
  const whole = createHash('sha256')
  const parts: Part[] = []
  const going = new Set<Promise<void>>()
  let done = 0
  const rest = (bytes: number): void => upload.onProgress((done += bytes))
  try {
    for (let from = 0; from < upload.bytes; from += partBytes) {
      ended.throwIfAborted()
      const part: Part = {
        number: parts.length + 1,
        from,
        to: Math.min(from + partBytes, upload.bytes),
        sha256: '',
        etag: '',
      }
      const stored = open.parts.get(part.number)
      // Only what was found without a SHA-256 of its own is compared by MD5.
      const md5 = stored?.sha256 === null ? createHash('md5') : null
      const digests = await digestPart(upload, part, { hashes: { whole, md5 }, signal: ended, what: path })
      part.sha256 = digests.sha256
      parts.push(part)
      if (stored !== undefined && isSame(stored, part, digests)) {
        part.etag = stored.etag
        rest(part.to - part.from)
        continue
      }
      const sending = sendPart(store, { path, open, upload, part }, ended).then(() => rest(part.to - part.from))
      going.add(sending)
      sending.then(
        () => going.delete(sending),
        (error: unknown) => failed.abort(error),
      )
      if (going.size >= parallel) await Promise.race(going)
    }
    if (whole.digest('hex') !== upload.sha256) {
      const wrong = changed(path)
      failed.abort(wrong)
      await Promise.allSettled(going)
      await abortUpload(store, { path, id: open.id }, signal)
      throw wrong
    }
    await Promise.all(going)
    return parts
  } catch (error) {
    failed.abort(error)
    await Promise.allSettled(going)
    signal.throwIfAborted()
    throw failed.signal.reason
  }
}

async function digestPart(
  upload: Upload,
  { from, to }: Part,
  {
    hashes: { whole, md5 },
    signal,
    what,
  }: { hashes: { whole: Hash; md5: Hash | null }; signal: AbortSignal; what: string },
): Promise<Digests> {
  const sha256 = createHash('sha256')
  let read = 0
  for await (const piece of upload.open({ from, to })) {
    signal.throwIfAborted()
    read += piece.length
    for (const hash of [whole, sha256, md5]) hash?.update(piece)
  }
  if (read !== to - from) throw changed(what)
  return { sha256: sha256.digest('hex'), md5: md5?.digest('hex') ?? null }
}

/** An ETag of a part is its MD5, but where the store encrypts with keys of its own. */
function isSame(stored: StoredPart, { from, to }: Part, { sha256, md5 }: Digests): boolean {
  if (stored.bytes !== to - from) return false
  return stored.sha256 === null ? stored.etag.replaceAll('"', '') === md5 : stored.sha256 === toBase64(sha256)
}

async function sendPart(
  store: Store,
  { path, open, upload, part }: { path: string; open: OpenUpload; upload: Upload; part: Part },
  signal: AbortSignal,
): Promise<void> {
  const { number, from, to, sha256 } = part
  const bytes = to - from
  const what = `part ${number} of ${path}`
  const query = { partNumber: String(number), uploadId: open.id }
  const headers: Record<string, string> = open.checksums ? { 'x-amz-checksum-sha256': toBase64(sha256) } : {}
  const body = { bytes, sha256, open: () => checked(upload.open({ from, to }), { bytes, sha256, what: path }) }
  part.etag = await again(
    async () => {
      const answer = await askOnce(
        store,
        { method: 'PUT', path, query, headers, body, what: `writing ${what}` },
        signal,
      )
      answer.discard()
      const etag = answer.header('etag')
      if (etag === null)
        throw new ArtifactError(
          'never',
          `${store.bucket.name}: ${what} is taken without an ETag, so the upload can't be completed`,
        )
      return etag
    },
    store.patience,
    signal,
  )
}

async function complete(
  store: Store,
  { path, open, parts }: { path: string; open: OpenUpload; parts: Part[] },
  signal: AbortSignal,
): Promise<void> {
  const listed = parts.map(({ number, etag, sha256 }) => {
    const checksum = open.checksums ? `<ChecksumSHA256>${toBase64(sha256)}</ChecksumSHA256>` : ''
    return `<Part><PartNumber>${number}</PartNumber><ETag>${escape(etag)}</ETag>${checksum}</Part>`
  })
  const body = bodyOf(
    `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${listed.join('')}</CompleteMultipartUpload>`,
  )
  const headers = { 'content-type': 'application/xml' }
  const query = { uploadId: open.id }
  const what = `completing the upload of ${path}`
  const root = 'CompleteMultipartUpload'
  await askForXml(store, { method: 'POST', path, query, headers, body, what, root }, signal)
}

/** Whoever completed it. */
async function isThere(store: Store, { path, upload }: Whole, signal: AbortSignal): Promise<boolean> {
  try {
    const answer = await again(
      () => askOnce(store, { method: 'HEAD', path, what: `looking for ${path}` }, signal),
      store.patience,
      signal,
    )
    answer.discard()
    return Number(answer.header('content-length') ?? NaN) === upload.bytes
  } catch (error) {
    if (error instanceof S3Refusal && error.told.status === 404) return false
    throw error
  }
}

const toBase64 = (hex: string): string => Buffer.from(hex, 'hex').toString('base64')
const escape = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
