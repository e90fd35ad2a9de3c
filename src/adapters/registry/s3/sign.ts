/**
 * AWS Signature Version 4 in the `Authorization` header, with the body's own SHA-256 signed.
 * (docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html; its examples are this file's tests)
 */
import { createHash, createHmac } from 'node:crypto'

export type Credentials = { accessKeyId: string; secretAccessKey: string; sessionToken: string | null }

export const emptySha256 = createHash('sha256').digest('hex')

/** `headers`: small letters; all are signed. `at`: the time, which the store compares with its own. */
export function sign(
  request: { method: string; url: URL; headers: Record<string, string>; sha256: string },
  { accessKeyId, secretAccessKey, sessionToken }: Credentials,
  { region, at }: { region: string; at: Date },
): Record<string, string> {
  const time = at.toISOString().replace(/[-:]|\.\d{3}/g, '')
  const day = time.slice(0, 8)
  const headers: Record<string, string> = {
    ...request.headers,
    'host': request.url.host,
    'x-amz-content-sha256': request.sha256,
    'x-amz-date': time,
    ...(sessionToken === null ? {} : { 'x-amz-security-token': sessionToken }),
  }
  const names = Object.keys(headers).toSorted()
  const canonical = [
    request.method,
    request.url.pathname,
    request.url.search.slice(1),
    ...names.map(name => `${name}:${(headers[name] ?? '').trim().replace(/ +/g, ' ')}`),
    '',
    names.join(';'),
    request.sha256,
  ].join('\n')
  const scope = `${day}/${region}/s3/aws4_request`
  const text = ['AWS4-HMAC-SHA256', time, scope, createHash('sha256').update(canonical).digest('hex')].join('\n')
  const key = [day, region, 's3', 'aws4_request'].reduce<string | Buffer>(hmac, `AWS4${secretAccessKey}`)
  const signature = hmac(key, text).toString('hex')
  return {
    ...headers,
    authorization: `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope},SignedHeaders=${names.join(';')},Signature=${signature}`,
  }
}

const hmac = (key: string | Buffer, text: string): Buffer => createHmac('sha256', key).update(text).digest()
