/**
 * Any S3-compatible store (AWS, MinIO, Ceph, Garage) as a place for objects, with what all of them have: signature 4,
 * objects, parts, ListObjectsV2.
 *
 * - `PUT` with `If-None-Match: *` answers 412 when the object is there, and 409 when another writer is just at it: then
 *   one asks again. (docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html) Stores from before 2024
 *   ignore the header and replace the object: that is found out, and told.
 * - A body's SHA-256 is signed with the request, and AWS, MinIO and Ceph refuse other bytes
 *   (`XAmzContentSHA256Mismatch`); `x-amz-checksum-sha256` is kept with the object where a store knows it.
 * - `CompleteMultipartUpload` may answer 200 and then tell an error in its body.
 *   (docs.aws.amazon.com/AmazonS3/latest/API/API_CompleteMultipartUpload.html)
 * - A part has at least 5 MiB, but for the last; an object has at most 10,000 parts, and one request at most 5 GiB.
 *   (docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html)
 * - Without s3:ListBucket a missing object answers 403, not 404.
 *   (docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html)
 */
import { ArtifactError } from '../../../domain/catalog/index.ts'
import type { ListedObject, ObjectHead, ObjectPlace } from '../../../services/registry/index.ts'
import { again, readOn, usualPatience, type Patience } from '../again.ts'
import { checked } from '../checked.ts'
import { createOnce, type Guard } from '../create-once.ts'
import { exactly, gather, rangeHeader } from '../range.ts'
import { toBucket } from './address.ts'
import { abortAbandoned } from './open-uploads.ts'
import { isNoSuchKey, S3Refusal } from './refusal.ts'
import { ask, askForXml, askOnce, bodyOf, type Store } from './request.ts'
import type { Credentials } from './sign.ts'
import { uploadInParts } from './upload.ts'
import { childrenOf, textIn } from './xml.ts'

export type S3Settings = {
  url: string
  region: string
  /** `null`: a bucket that is open to all. */
  credentials: Credentials | null
  /** For what people should know, such as a store that can't keep two writers apart. */
  tell(line: string): void
  /** Larger objects go in parts of this many bytes; 64 MiB. */
  partBytes?: number
  patience?: Patience
  silenceMs?: number
  /** The wait on stores that replace what is there. */
  settleMs?: number
}

const mebibyte = 1024 * 1024
const mostPages = 100_000

/** Nothing is asked before a verb is used; a url that names no bucket is an ArtifactError at once. */
export function openS3(settings: S3Settings): ObjectPlace {
  const { url, region, credentials, tell, partBytes = 64 * mebibyte, patience = usualPatience, silenceMs } = settings
  const bucket = toBucket(url, region)
  const store: Store = { bucket, credentials, patience, ...(silenceMs === undefined ? {} : { silenceMs }) }
  const guard: Guard = {
    refuses: null,
    waitMs: { refusing: 0, replacing: settings.settleMs ?? 2_000 },
    warn: () =>
      tell(
        `${bucket.name}: this store ignores If-None-Match and replaces what is there. Two who publish one name at the same moment are kept apart by a wait alone; newer releases of S3 stores do better.`,
      ),
  }
  let knownBucket = false
  let tidied = false

  /** A refused HEAD says no code; the same GET does. */
  async function isMissing(path: string, error: unknown, signal: AbortSignal): Promise<boolean> {
    if (!(error instanceof S3Refusal)) return false
    if (error.told.status === 404 && knownBucket) return true
    const request = { method: 'GET', path, headers: { range: 'bytes=0-0' }, what: `reading ${path}` } as const
    const found = await ask(store, request, signal).catch((refusal: unknown) => refusal)
    if (found instanceof S3Refusal) {
      if (!isNoSuchKey(found.told)) throw found
      knownBucket = true
      return true
    }
    if (found instanceof Error) throw found
    return false
  }

  async function head(path: string, signal: AbortSignal): Promise<ObjectHead | null> {
    try {
      const answer = await ask(store, { method: 'HEAD', path, what: `looking for ${path}` }, signal)
      answer.discard()
      return toHead(answer.header('content-length'), answer.header('last-modified'), { name: bucket.name, path })
    } catch (error) {
      if (await isMissing(path, error, signal)) return null
      throw error
    }
  }

  async function readAll(path: string, most: number, signal: AbortSignal): Promise<Uint8Array | null> {
    return again(
      async () => {
        try {
          const answer = await askOnce(store, { method: 'GET', path, what: `reading ${path}` }, signal)
          return await gather(answer.bytes(), most)
        } catch (error) {
          if (error instanceof S3Refusal && isNoSuchKey(error.told)) return null
          throw error
        }
      },
      patience,
      signal,
    )
  }

  async function* readRange(path: string, { from, to }: { from: number; to: number }, signal: AbortSignal) {
    const what = `reading ${path}`
    const headers = { range: rangeHeader({ from, to }) }
    const answer = await askOnce(store, { method: 'GET', path, headers, what }, signal)
    yield* exactly(answer, { from, to }, `${bucket.name}: ${path}`)
  }

  return {
    name: bucket.name,
    head,
    read: (path, { from, to }, signal) =>
      readOn(at => readRange(path, { from: at, to }, signal), { from, to, patience, signal }),

    async write(path, upload, signal) {
      const { bytes, sha256 } = upload
      if (bytes > partBytes) {
        await uploadInParts(store, { path, upload, partBytes }, signal)
        if (!tidied) await abortAbandoned(store, folderOf(path), signal)
        tidied = true
      } else {
        const open = () => checked(upload.open({ from: 0, to: bytes }), { bytes, sha256, what: path })
        const headers = { 'x-amz-checksum-sha256': Buffer.from(sha256, 'hex').toString('base64') }
        const answer = await ask(
          store,
          { method: 'PUT', path, headers, body: { bytes, sha256, open }, what: `writing ${path}` },
          signal,
        )
        answer.discard()
        upload.onProgress(bytes)
      }
      const written = await head(path, signal)
      if (written?.bytes === bytes) return
      throw new ArtifactError(
        'soon',
        `${bucket.name}: ${path} was written with ${bytes} bytes, and has ${written?.bytes ?? 'none'} now`,
      )
    },

    create(path, content, signal) {
      const request = {
        method: 'PUT',
        path,
        headers: { 'if-none-match': '*', 'content-type': 'application/json' },
        body: bodyOf(content),
        what: `creating ${path}`,
      } as const
      const put = (): Promise<'written' | 'refused'> =>
        again(
          async () => {
            try {
              const answer = await askOnce(store, request, signal)
              answer.discard()
              return 'written'
            } catch (error) {
              if (!(error instanceof S3Refusal)) throw error
              if (error.told.status === 412) return 'refused'
              throw error.told.status === 409 ? new ArtifactError('soon', error.message, { cause: error }) : error
            }
          },
          patience,
          signal,
        )
      return createOnce({ read: () => readAll(path, content.length, signal), put }, content, { guard, signal })
    },

    async remove(path, signal) {
      try {
        const answer = await ask(store, { method: 'DELETE', path, what: `removing ${path}` }, signal)
        answer.discard()
      } catch (error) {
        if (!(error instanceof S3Refusal) || error.told.code !== 'NoSuchKey') throw error
      }
    },

    async *list(prefix, signal) {
      let token: string | null = null
      for (let page = 0; page < mostPages; page++) {
        const query = {
          'list-type': '2',
          'prefix': bucket.keyOf(prefix),
          ...(token === null ? {} : { 'continuation-token': token }),
        }
        const what = `listing ${prefix === '' ? 'the bucket' : prefix}`
        const listed = await askForXml(store, { method: 'GET', path: null, query, what, root: 'ListBucket' }, signal)
        for (const entry of childrenOf(listed, 'Contents')) {
          const path = bucket.pathOf(textIn(entry, 'Key') ?? '')
          // A folder's own mark, as some consoles make them, is no object of ours.
          if (path === null || !path.startsWith(prefix) || path === '' || path.endsWith('/')) continue
          const found: ListedObject = {
            path,
            ...toHead(textIn(entry, 'Size'), textIn(entry, 'LastModified'), { name: bucket.name, path }),
          }
          yield found
        }
        const next = textIn(listed, 'NextContinuationToken')
        if (textIn(listed, 'IsTruncated') !== 'true') return
        if (next === null || next === token)
          throw new ArtifactError('never', `${bucket.name}: ${what} does not come to an end`)
        token = next
      }
      throw new ArtifactError('never', `${bucket.name}: there are more objects than are listed here`)
    },

    free: () => Promise.resolve(null),
  }
}

function toHead(bytes: string | null, at: string | null, { name, path }: { name: string; path: string }): ObjectHead {
  const modifiedAt = new Date(at ?? NaN)
  if (bytes === null || !/^\d{1,15}$/.test(bytes) || Number.isNaN(modifiedAt.getTime()))
    throw new ArtifactError(
      'never',
      `${name} does not tell the length and time of ${path}: is this the address of an S3 store?`,
    )
  return { bytes: Number(bytes), modifiedAt }
}

const folderOf = (path: string): string => path.slice(0, path.lastIndexOf('/') + 1)

/** `<access key id>:<secret access key>[:<session token>]`. */
export function toCredentials(token: string): Credentials {
  const [, accessKeyId, secretAccessKey, sessionToken] = /^([^:\s]+):([^:\s]+)(?::(\S+))?$/.exec(token.trim()) ?? []
  if (accessKeyId !== undefined && secretAccessKey !== undefined)
    return { accessKeyId, secretAccessKey, sessionToken: sessionToken ?? null }
  throw new ArtifactError(
    'never',
    "the registry's token is not of the form accessKeyId:secretAccessKey[:sessionToken]; mend what it refers to",
  )
}
