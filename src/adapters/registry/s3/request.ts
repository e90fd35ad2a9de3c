/** One signed request to a bucket, again after a pause where that may help; a refusal is thrown as what to do about it. */
import { createHash } from 'node:crypto'
import { ArtifactError } from '../../../domain/catalog/index.ts'
import { again, type Patience } from '../again.ts'
import { exchange, type Answer, type Ask } from '../exchange.ts'
import type { Bucket } from './address.ts'
import { askedWait, readTold, S3Refusal } from './refusal.ts'
import { emptySha256, sign, type Credentials } from './sign.ts'
import { parseXml, type Element } from './xml.ts'

export type Store = {
  bucket: Bucket
  /** `null`: requests are not signed; a bucket may be open to all. */
  credentials: Credentials | null
  patience: Patience
  silenceMs?: number
}

export type Request = {
  method: Ask['method']
  /** `null`: of the bucket. */
  path: string | null
  query?: Record<string, string>
  headers?: Record<string, string>
  body?: { bytes: number; sha256: string; open(): AsyncIterable<Uint8Array> }
  /** For who reads that it is refused, such as `reading blobs/…`. */
  what: string
}

export const bodyOf = (content: string | Uint8Array): NonNullable<Request['body']> => {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content
  return {
    bytes: bytes.length,
    sha256: createHash('sha256').update(bytes).digest('hex'),
    async *open() {
      yield bytes
    },
  }
}

/** Resolves with a 2xx answer; all else is an S3Refusal. Its body is the caller's to read or to discard. */
export const ask = (store: Store, request: Request, signal: AbortSignal): Promise<Answer> =>
  again(() => askOnce(store, request, signal), store.patience, signal)

export async function askOnce(store: Store, request: Request, signal: AbortSignal): Promise<Answer> {
  const { bucket, credentials, silenceMs } = store
  const { method, path, query, headers = {}, body, what } = request
  const url = bucket.url(path, query)
  const sha256 = body?.sha256 ?? emptySha256
  const answer = await exchange({
    method,
    url,
    headers:
      credentials === null
        ? headers
        : sign({ method, url, headers, sha256 }, credentials, { region: bucket.region, at: new Date() }),
    ...(body === undefined ? {} : { body }),
    ...(silenceMs === undefined ? {} : { silenceMs }),
    signal,
  })
  if (answer.status >= 200 && answer.status < 300) return answer
  const told = await readTold(answer, { isHead: method === 'HEAD' })
  throw new S3Refusal(told, { bucket, what, signed: credentials !== null }, askedWait(answer))
}

/** The document that a request is answered with. A 200 with an error in it is an error: S3 sends its head before it is done. */
export const askForXml = (store: Store, request: Request & { root: string }, signal: AbortSignal): Promise<Element> =>
  again(
    async () => {
      const answer = await askOnce(store, request, signal)
      const root = parseXml(await answer.text())
      if (root?.name.startsWith(request.root) === true) return root
      const { bucket, credentials } = store
      if (root?.name !== 'Error')
        throw new ArtifactError(
          'never',
          `${bucket.name}: ${request.what} is answered, and not as S3 answers: is this the address of an S3 store?`,
        )
      const [code, message] = ['Code', 'Message'].map(
        name => root.children.find(child => child.name === name)?.text ?? null,
      )
      const told = { status: answer.status, code: code ?? null, message: message ?? null, region: null }
      throw new S3Refusal(told, { bucket, what: request.what, signed: credentials !== null }, null)
    },
    store.patience,
    signal,
  )
