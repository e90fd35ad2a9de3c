/** The examples that AWS publishes with its description of the signature. */
import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { toBucket } from './address.ts'
import { emptySha256, sign } from './sign.ts'

const credentials = {
  accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  sessionToken: null,
}
const region = 'us-east-1'
const at = new Date('2013-05-24T00:00:00Z')
const bucket = toBucket('https://examplebucket.s3.amazonaws.com', region)
const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

test.each([
  [
    'a range of an object',
    { method: 'GET', url: bucket.url('test.txt'), headers: { range: 'bytes=0-9' }, sha256: emptySha256 },
    'host;range;x-amz-content-sha256;x-amz-date',
    'f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41',
  ],
  [
    'an object that is written, with a name that has to be encoded',
    {
      method: 'PUT',
      url: bucket.url('test$file.text'),
      headers: { 'date': 'Fri, 24 May 2013 00:00:00 GMT', 'x-amz-storage-class': 'REDUCED_REDUNDANCY' },
      sha256: sha256('Welcome to Amazon S3.'),
    },
    'date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class',
    '98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd',
  ],
  [
    'a query without a value',
    { method: 'GET', url: bucket.url(null, { lifecycle: '' }), headers: {}, sha256: emptySha256 },
    'host;x-amz-content-sha256;x-amz-date',
    'fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543',
  ],
  [
    'a list',
    { method: 'GET', url: bucket.url(null, { 'prefix': 'J', 'max-keys': '2' }), headers: {}, sha256: emptySha256 },
    'host;x-amz-content-sha256;x-amz-date',
    '34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7',
  ],
])('%s is signed as AWS signs it', (_, request, names, signature) => {
  expect(sign(request, credentials, { region, at })['authorization']).toBe(
    `AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders=${names},Signature=${signature}`,
  )
})

test('a session token goes along, and is signed', () => {
  const request = { method: 'GET', url: bucket.url('a'), headers: {}, sha256: emptySha256 }
  const headers = sign(request, { ...credentials, sessionToken: 'of an hour' }, { region, at })
  expect(headers['x-amz-security-token']).toBe('of an hour')
  expect(headers['authorization']).toContain('SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token,')
})
