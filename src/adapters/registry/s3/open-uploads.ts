/** Multipart uploads that are under way at the store: ours of a killed writer is found again, and old ones are aborted. */
import { ArtifactError } from '../../../domain/catalog/index.ts'
import { S3Refusal } from './refusal.ts'
import { ask, askForXml, type Store } from './request.ts'
import { childrenOf, textIn, type Element } from './xml.ts'

export type StoredPart = { bytes: number; etag: string; sha256: string | null }

/** `checksums`: the store keeps a SHA-256 of each part, and wants one with each further. */
export type OpenUpload = { id: string; checksums: boolean; parts: Map<number, StoredPart> }

const mostPages = 100
const abandonedMs = 7 * 24 * 3_600_000

/** The latest of this very object. Where a store lists none, or not to this user, each upload begins anew. */
export async function findUpload(store: Store, path: string, signal: AbortSignal): Promise<OpenUpload | null> {
  try {
    return await latestUpload(store, path, signal)
  } catch (error) {
    if (error instanceof S3Refusal && (error.told.status === 501 || error.told.status === 403)) return null
    throw error
  }
}

async function latestUpload(store: Store, path: string, signal: AbortSignal): Promise<OpenUpload | null> {
  const key = store.bucket.keyOf(path)
  // Exactly the key: MinIO finds by no shorter prefix.
  const uploads = (await listUploads(store, key, signal)).filter(upload => textIn(upload, 'Key') === key)
  const [latest] = uploads.toSorted((a, b) => startedAt(b) - startedAt(a))
  const id = latest === undefined ? null : textIn(latest, 'UploadId')
  if (latest === undefined || id === null) return null
  const parts = await listParts(store, { path, id }, signal)
  const checksums =
    textIn(latest, 'ChecksumAlgorithm') === 'SHA256' || [...parts.values()].some(({ sha256 }) => sha256 !== null)
  return { id, checksums, parts }
}

/** Their parts cost space that no listing shows. What can't be tidied is left. */
export async function abortAbandoned(store: Store, folder: string, signal: AbortSignal): Promise<void> {
  try {
    for (const upload of await listUploads(store, store.bucket.keyOf(folder), signal)) {
      const path = store.bucket.pathOf(textIn(upload, 'Key') ?? '')
      const id = textIn(upload, 'UploadId')
      const isOld = Date.now() - startedAt(upload) > abandonedMs
      if (path !== null && id !== null && isOld) await abortUpload(store, { path, id }, signal)
    }
  } catch (error) {
    signal.throwIfAborted()
    if (!(error instanceof ArtifactError)) throw error
  }
}

export async function abortUpload(
  store: Store,
  { path, id }: { path: string; id: string },
  signal: AbortSignal,
): Promise<void> {
  const what = `ending an upload of ${path}`
  const answer = await ask(store, { method: 'DELETE', path, query: { uploadId: id }, what }, signal)
  answer.discard()
}

/** The first page: a thousand are more than ever go at once. */
async function listUploads(store: Store, prefix: string, signal: AbortSignal): Promise<Element[]> {
  const list = await askForXml(
    store,
    {
      method: 'GET',
      path: null,
      query: { uploads: '', prefix },
      what: 'listing uploads',
      root: 'ListMultipartUploads',
    },
    signal,
  )
  return childrenOf(list, 'Upload')
}

async function listParts(
  store: Store,
  { path, id }: { path: string; id: string },
  signal: AbortSignal,
): Promise<Map<number, StoredPart>> {
  const parts = new Map<number, StoredPart>()
  let marker = '0'
  for (let page = 0; page < mostPages; page++) {
    const query = { uploadId: id, ...(marker === '0' ? {} : { 'part-number-marker': marker }) }
    const what = `listing parts of ${path}`
    const list = await askForXml(store, { method: 'GET', path, query, what, root: 'ListParts' }, signal)
    for (const part of childrenOf(list, 'Part')) {
      const number = Number(textIn(part, 'PartNumber') ?? NaN)
      const bytes = Number(textIn(part, 'Size') ?? NaN)
      const etag = textIn(part, 'ETag')
      if (Number.isSafeInteger(number) && Number.isSafeInteger(bytes) && etag !== null)
        parts.set(number, { bytes, etag, sha256: textIn(part, 'ChecksumSHA256') })
    }
    const next = textIn(list, 'NextPartNumberMarker')
    if (textIn(list, 'IsTruncated') !== 'true' || next === null || Number(next) <= Number(marker)) return parts
    marker = next
  }
  return parts
}

const startedAt = (upload: Element): number => {
  const at = Date.parse(textIn(upload, 'Initiated') ?? '')
  // What tells no time is never old, and never the latest.
  return Number.isNaN(at) ? Number.MAX_SAFE_INTEGER : at
}
