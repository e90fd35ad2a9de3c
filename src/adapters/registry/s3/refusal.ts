/** What a refusal of an S3 store means, what to do about it, and whether asking again could help. */
import { ArtifactError } from '../../../domain/catalog/index.ts'
import type { Answer } from '../exchange.ts'
import type { Bucket } from './address.ts'
import { parseXml, textIn } from './xml.ts'

export type Told = { status: number; code: string | null; message: string | null; region: string | null }

/** Carries the store's code: some callers know what to make of it. */
export class S3Refusal extends ArtifactError {
  readonly told: Told

  constructor(
    told: Told,
    { bucket, what, signed }: { bucket: Bucket; what: string; signed: boolean },
    afterMs: number | null,
  ) {
    super(isSoon(told) ? 'soon' : 'never', `${bucket.name}: ${say(told, { bucket, what, signed })}`, { afterMs })
    this.told = told
  }
}

/** What the body of an answer says of an error. An error page of a proxy says nothing that is understood. */
export async function readTold(answer: Answer, { isHead }: { isHead: boolean }): Promise<Told> {
  const root = isHead ? null : parseXml(await answer.text().catch(() => ''))
  if (isHead) answer.discard()
  const error = root?.name === 'Error' ? root : null
  return {
    status: answer.status,
    code: error === null ? null : textIn(error, 'Code'),
    message: error === null ? null : textIn(error, 'Message'),
    region: answer.header('x-amz-bucket-region') ?? (error === null ? null : textIn(error, 'Region')),
  }
}

/** Some stores say of unknown access keys, too, that they are not found. */
export const isNoSuchKey = ({ status, code }: Told): boolean =>
  status === 404 && (code === null || code === 'NoSuchKey')

/** `Retry-After` in seconds. */
export function askedWait(answer: Answer): number | null {
  const seconds = answer.header('retry-after')?.trim() ?? ''
  return /^\d{1,6}$/.test(seconds) ? Number(seconds) * 1000 : null
}

const soonCodes = new Set([
  'InternalError',
  'OperationAborted',
  'RequestTimeout',
  'ServiceUnavailable',
  'SlowDown',
  'ThrottlingException',
  'TooManyRequests',
])

const isSoon = ({ status, code }: Told): boolean =>
  (code !== null && soonCodes.has(code)) ||
  ((status >= 500 || status === 429 || status === 408) && code !== 'NotImplemented')

function say(
  { status, code, message, region }: Told,
  { bucket, what, signed }: { bucket: Bucket; what: string; signed: boolean },
): string {
  const asked = `${what} is refused (${[status, code].filter(part => part !== null).join(' ')})`
  if (code === 'NoSuchBucket')
    return `there is no bucket '${bucket.bucket}' at ${bucket.host}: make it, or mend the registry's url`
  if (code === 'NoSuchKey') return `${what} is not possible: there is no such object`
  if (code === 'RequestTimeTooSkewed')
    return `${asked}: the clock of this machine and the store's differ by more than 15 minutes; set this machine's clock (timedatectl shows it)`
  if (isOfAnotherRegion(status, code) || (code === 'AuthorizationHeaderMalformed' && region !== null))
    return `${asked}: ${region === null ? 'the bucket is in another region, or at another address' : `the bucket is in region ${region}`}; set the registry's region${region === null ? '' : ` to ${region}`}, and its url, where that names one`
  if (code === 'InvalidAccessKeyId' || code === 'InvalidToken' || code === 'ExpiredToken')
    return `${asked}: the store does not know these access keys, or not any more; see the registry's token`
  if (code === 'SignatureDoesNotMatch' || code === 'AuthorizationHeaderMalformed')
    return `${asked}: the secret key in the registry's token does not belong to the access key, or the registry's region (${bucket.region}) is not the store's`
  if (status === 401 || status === 403)
    return signed
      ? `${asked}: these access keys may not do that; they need s3:ListBucket and s3:ListBucketMultipartUploads on the bucket, and s3:GetObject, s3:PutObject, s3:DeleteObject, s3:AbortMultipartUpload and s3:ListMultipartUploadParts in it`
      : `${asked}: it wants access keys; set the registry's token (<access key id>:<secret access key>), or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY`
  if (status >= 300 && status < 400)
    return `${asked}: it sends one elsewhere, and that is not followed; mend the registry's url`
  const words = message ?? (code === null ? 'and not as S3 answers: is this the address of an S3 store?' : null)
  return words === null ? asked : `${asked}: ${words.replaceAll(/\p{C}/gu, '').slice(0, 200)}`
}

const isOfAnotherRegion = (status: number, code: string | null): boolean =>
  ['PermanentRedirect', 'TemporaryRedirect', 'IllegalLocationConstraintException'].includes(code ?? '') ||
  (status === 301 && code === null)
