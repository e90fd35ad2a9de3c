import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { ArtifactError } from '../../../domain/catalog/index.ts'
import type { Upload } from '../../../services/registry/index.ts'
import { toBucket } from './address.ts'
import { openS3, toCredentials, type S3Settings } from './index.ts'

const { signal } = new AbortController()
const credentials = { accessKeyId: 'AKID', secretAccessKey: 'canary-secret', sessionToken: 'canary-session' }
const closers: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})

async function listen(handler: RequestListener): Promise<string> {
  const server = createServer(handler)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  closers.push(async () => {
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
  })
  // A TCP server that listens has an address object.
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/models/registry`
}

const open = (url: string, settings: Partial<S3Settings> = {}) =>
  openS3({
    url,
    region: 'us-east-1',
    credentials,
    tell: () => undefined,
    patience: { tries: 3, pauseMs: 1 },
    settleMs: 50,
    ...settings,
  })

const errorXml = (code: string, more = ''): string =>
  `<?xml version="1.0"?><Error><Code>${code}</Code><Message>words of the store</Message>${more}</Error>`

async function refusal(work: () => Promise<unknown>): Promise<ArtifactError> {
  const error: unknown = await work().catch((caught: unknown) => caught)
  if (!(error instanceof ArtifactError)) throw error instanceof Error ? error : new Error('it was done')
  return error
}

async function gather(pieces: AsyncIterable<Uint8Array>): Promise<string> {
  const all: Uint8Array[] = []
  for await (const piece of pieces) all.push(piece)
  return Buffer.concat(all).toString()
}

async function drain(request: IncomingMessage): Promise<string> {
  return gather(request)
}

const sha256Of = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

const toUpload = (bytes: Buffer, progress: number[] = []): Upload => ({
  bytes: bytes.length,
  sha256: sha256Of(bytes),
  async *open({ from, to }) {
    for (let at = from; at < to; at += 1000) yield bytes.subarray(at, Math.min(to, at + 1000))
  },
  onProgress: done => progress.push(done),
})

test.each([
  ['http://127.0.0.1:9000/models', 'http://127.0.0.1:9000/models', 'http://127.0.0.1:9000/models/a%20b/c'],
  ['https://s3.lan/models/x/y/', 'https://s3.lan/models/x/y', 'https://s3.lan/models/x/y/a%20b/c'],
  ['s3://models', 's3://models', 'https://models.s3.eu-central-1.amazonaws.com/a%20b/c'],
  ['s3://my.models/x', 's3://my.models/x', 'https://s3.eu-central-1.amazonaws.com/my.models/x/a%20b/c'],
  [
    'https://models.s3.eu-west-1.amazonaws.com/x',
    'https://models.s3.eu-west-1.amazonaws.com/x',
    'https://models.s3.eu-west-1.amazonaws.com/x/a%20b/c',
  ],
])('%s is a bucket, with or without a folder in it', (address, name, url) => {
  const bucket = toBucket(address, 'eu-central-1')
  expect(bucket.name).toBe(name)
  expect(bucket.url('a b/c').href).toBe(url)
  expect(bucket.pathOf(bucket.keyOf('a b/c'))).toBe('a b/c')
})

test.each(['https://s3.lan', 'https://s3.lan/', 'ftp://s3.lan/models', 'models', 'https://user:secret@s3.lan/models'])(
  '%s names no bucket',
  address => {
    expect(() => toBucket(address, 'eu-central-1')).toThrow(/names no bucket: write https/)
  },
)

test('a token is two or three parts, and a wrong one is not repeated', () => {
  expect(toCredentials('id:se/cr+et')).toEqual({ accessKeyId: 'id', secretAccessKey: 'se/cr+et', sessionToken: null })
  expect(toCredentials('id:secret:of:an:hour')).toMatchObject({ sessionToken: 'of:an:hour' })
  expect(() => toCredentials('canary')).toThrow(/accessKeyId:secretAccessKey/)
  expect(() => toCredentials('canary')).not.toThrow(/canary/)
})

test.each([
  [
    301,
    errorXml('PermanentRedirect'),
    { 'x-amz-bucket-region': 'eu-west-1' },
    /in region eu-west-1; set the registry's region to eu-west-1/,
  ],
  [403, errorXml('AccessDenied'), {}, /these access keys may not do that; they need s3:ListBucket/],
  [403, errorXml('RequestTimeTooSkewed'), {}, /the clock of this machine.*timedatectl/],
  [403, errorXml('SignatureDoesNotMatch'), {}, /the secret key in the registry's token/],
  [403, errorXml('InvalidAccessKeyId'), {}, /does not know these access keys/],
  [404, errorXml('NoSuchBucket'), {}, /there is no bucket 'models' at 127\.0\.0\.1:\d+: make it/],
  [400, errorXml('Strange'), {}, /refused \(400 Strange\): words of the store$/],
  [400, '<html>Bad request</html>', {}, /refused \(400\): and not as S3 answers: is this the address/],
  [302, '', { location: 'http://elsewhere.example/' }, /sends one elsewhere, and that is not followed/],
])('R8 %i %s is told with what to do, and not tried again', async (status, body, headers, message) => {
  let asked = 0
  const url = await listen((_, response) => {
    asked += 1
    response.writeHead(status, headers).end(body)
  })
  const error = await refusal(() => gatherPaths(open(url).list('', signal)))
  expect(error.retry).toBe('never')
  expect(error.message).toMatch(message)
  expect(error.message).not.toMatch(/canary/)
  expect(asked).toBe(1)
})

test('without access keys a refusal says which settings give them, and no signature was sent', async () => {
  const seen: unknown[] = []
  const url = await listen((request, response) => {
    seen.push(request.headers.authorization)
    response.writeHead(403).end(errorXml('AccessDenied'))
  })
  const error = await refusal(() => gatherPaths(open(url, { credentials: null }).list('', signal)))
  expect(error.message).toMatch(/set the registry's token.*AWS_ACCESS_KEY_ID/)
  expect(seen).toEqual([undefined])
})

test('a busy store is asked again, and then it is told', async () => {
  let asked = 0
  const url = await listen((_, response) => {
    asked += 1
    if (asked % 3 === 0 && asked < 6)
      response.end('<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>')
    else response.writeHead(503, { 'retry-after': '0' }).end(errorXml('SlowDown'))
  })
  expect(await gatherPaths(open(url).list('', signal))).toEqual([])
  const error = await refusal(() => gatherPaths(open(url).list('', signal)))
  expect(error.retry).toBe('soon')
  expect(error.message).toMatch(/refused \(503 SlowDown\)/)
  expect(asked).toBe(6)
})

test('a HEAD says no code, so the same is asked with a body: a bucket that is not there is told from an object', async () => {
  let code = 'NoSuchKey'
  const seen: string[] = []
  const url = await listen((request, response) => {
    seen.push(request.method ?? '')
    response.writeHead(404).end(request.method === 'HEAD' ? '' : errorXml(code))
  })
  const place = open(url)
  expect(await place.head('blobs/a', signal)).toBe(null)
  expect(await place.head('blobs/b', signal)).toBe(null)
  expect(seen).toEqual(['HEAD', 'GET', 'HEAD'])
  code = 'NoSuchBucket'
  expect((await refusal(() => open(url).head('blobs/a', signal))).message).toMatch(/there is no bucket 'models'/)
  code = 'InvalidAccessKeyId'
  expect((await refusal(() => open(url).head('blobs/a', signal))).message).toMatch(/does not know these access keys/)
})

const answersOf = {
  'other bytes': { status: 206, headers: { 'content-range': 'bytes 3-7/100', 'content-length': '5' }, body: 'other' },
  'the whole object': { status: 200, headers: { 'content-length': '100' }, body: 'x'.repeat(100) },
  'what it does not name': { status: 206, headers: {}, body: 'bytes' },
  'more bytes': { status: 206, headers: { 'content-range': 'bytes 2-6/100' }, body: 'x'.repeat(100_000) },
}
test.each(Object.entries(answersOf))('R5 %s than were asked for are an error', async (_, { status, headers, body }) => {
  const url = await listen((_request, response) => response.writeHead(status, headers).end(body))
  const error = await refusal(() => gather(open(url).read('a', { from: 2, to: 7 }, signal)))
  expect(error.retry).toBe('never')
  expect(error.message).toMatch(/bytes 2 to 6 were asked for, and|more bytes come than were asked for/)
})

test('R6 a body without an end is left', async () => {
  const url = await listen((_, response) => {
    response.writeHead(206, { 'content-range': 'bytes 0-9/100' })
    const more = (): void => void (response.destroyed || response.write('x'.repeat(65_536), () => setImmediate(more)))
    more()
  })
  const error = await refusal(() => gather(open(url).read('a', { from: 0, to: 10 }, signal)))
  expect(error.message).toMatch(/more bytes come than were asked for/)
  const list = await refusal(() => gatherPaths(open(url).list('', signal)))
  expect(list.message).toMatch(/more text than is read here/)
})

test('a read that is cut goes on behind the last byte that came', async () => {
  const seen: unknown[] = []
  const url = await listen((request, response) => {
    const [, from = '', to = ''] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? []
    seen.push(request.headers.range)
    const bytes = '0123456789'.slice(Number(from), Number(to) + 1)
    response.writeHead(206, { 'content-range': `bytes ${from}-${to}/10`, 'content-length': String(bytes.length) })
    if (bytes.length <= 3) response.end(bytes)
    else response.write(bytes.slice(0, 3), () => setImmediate(() => response.destroy()))
  })
  expect(await gather(open(url).read('a', { from: 1, to: 9 }, signal))).toBe('12345678')
  expect(seen).toEqual(['bytes=1-8', 'bytes=4-8', 'bytes=7-8'])
})

test('a store that goes silent is left', async () => {
  const url = await listen(() => undefined)
  const error = await refusal(() => open(url, { silenceMs: 50 }).head('a', signal))
  expect(error).toMatchObject({ retry: 'soon' })
  expect(error.message).toMatch(/was silent for 0\.05 s/)
})

test('R6 a list that does not come to an end is left, and keys of others are passed over', async () => {
  const page = (more: string): string =>
    `<ListBucketResult>${['registry/', 'registry/versions/a', 'registry/versions/', 'other/versions/b']
      .map(
        key =>
          `<Contents><Key>${key}</Key><Size>1</Size><LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>`,
      )
      .join('')}${more}</ListBucketResult>`
  let more = '<IsTruncated>false</IsTruncated>'
  const url = await listen((_, response) => response.end(page(more)))
  expect(await gatherPaths(open(url).list('versions/', signal))).toEqual(['versions/a'])
  more = '<IsTruncated>true</IsTruncated><NextContinuationToken>same</NextContinuationToken>'
  expect((await refusal(() => gatherPaths(open(url).list('', signal)))).message).toMatch(/does not come to an end/)
})

test('R1 an upload whose end is answered 200 with an error in it is not done', async () => {
  const store = await fakeParts({ completes: () => errorXml('AccessDenied') })
  const error = await refusal(() =>
    open(store.url, { partBytes: 4000 }).write('blobs/a', toUpload(Buffer.alloc(9000)), signal),
  )
  expect(error.message).toMatch(/completing the upload of blobs\/a is refused \(200 AccessDenied\)/)
})

test('a store that can’t be told checksums gets none; the end that is lost is asked for again', async () => {
  let ends = 0
  const store = await fakeParts({
    begins: request => (request.headers['x-amz-checksum-algorithm'] === undefined ? null : errorXml('NotImplemented')),
    completes: () => (ends++ === 0 ? errorXml('InternalError') : null),
  })
  const progress: number[] = []
  await open(store.url, { partBytes: 4000 }).write('blobs/a', toUpload(Buffer.alloc(9000, 'x'), progress), signal)
  expect(store.objects.get('/models/registry/blobs/a')).toBe(9000)
  expect(store.checksums).toEqual([])
  expect(progress.at(-1)).toBe(9000)
})

test('an upload that another writer has completed meanwhile is done', async () => {
  const bytes = Buffer.alloc(9000, 'x')
  const store = await fakeParts({
    completes: () => {
      store.objects.set('/models/registry/blobs/a', 9000)
      return errorXml('NoSuchUpload')
    },
  })
  await open(store.url, { partBytes: 4000 }).write('blobs/a', toUpload(bytes), signal)
  expect(store.objects.size).toBe(1)
})

test('R1 a file that changes while it goes is not written, and its upload is ended', async () => {
  const store = await fakeParts({})
  const upload = { ...toUpload(Buffer.alloc(9000, 'x')), sha256: sha256Of(Buffer.alloc(9000, 'y')) }
  const error = await refusal(() => open(store.url, { partBytes: 4000 }).write('blobs/a', upload, signal))
  expect(error.message).toMatch(/blobs\/a was not written: the file has other bytes now/)
  expect([store.objects.size, store.aborted]).toEqual([0, ['1']])
})

test('R2 parts that are there are compared, by SHA-256 or by MD5, and sent only where they differ', async () => {
  const bytes = Buffer.from('a'.repeat(4000) + 'b'.repeat(4000) + 'c'.repeat(4000) + 'd'.repeat(10))
  const part = (number: number, of: Buffer, told: 'sha256' | 'md5'): string => {
    const digest = (algorithm: string) => createHash(algorithm).update(of)
    const checksum = told === 'md5' ? '' : `<ChecksumSHA256>${digest('sha256').digest('base64')}</ChecksumSHA256>`
    const etag = told === 'md5' ? digest('md5').digest('hex') : 'encrypted'
    return `<Part><PartNumber>${number}</PartNumber><Size>${of.length}</Size><ETag>&quot;${etag}&quot;</ETag>${checksum}</Part>`
  }
  const store = await fakeParts({
    found: [
      part(1, bytes.subarray(0, 4000), 'sha256'),
      part(2, bytes.subarray(4000, 8000), 'md5'),
      part(3, Buffer.alloc(4000, 'x'), 'md5'),
    ],
  })
  const progress: number[] = []
  await open(store.url, { partBytes: 4000 }).write('blobs/a', toUpload(bytes, progress), signal)
  expect(store.sent.toSorted()).toEqual(['3', '4'])
  expect(progress.toSorted((a, b) => a - b)).toEqual(progress)
  expect(progress.at(-1)).toBe(bytes.length)
})

test.each([403, 501])('where uploads are not listed (%i) each begins anew', async status => {
  const store = await fakeParts({ listing: status })
  await open(store.url, { partBytes: 4000 }).write('blobs/a', toUpload(Buffer.alloc(9000)), signal)
  expect(store.sent.toSorted()).toEqual(['1', '2', '3'])
})

test('R2 what was found and can’t be gone on with is ended, and begun anew', async () => {
  const store = await fakeParts({ found: [], refusesPartsOf: '0' })
  await open(store.url, { partBytes: 4000 }).write('blobs/a', toUpload(Buffer.alloc(9000)), signal)
  expect(store.aborted).toEqual(['0'])
  expect(store.objects.get('/models/registry/blobs/a')).toBe(9000)
})

test('R2 whoever stops an upload leaves what has come to rest for the next one', async () => {
  const stop = new AbortController()
  const store = await fakeParts({})
  const upload = { ...toUpload(Buffer.alloc(9000)), onProgress: () => stop.abort(new Error('stopped')) }
  await expect(open(store.url, { partBytes: 4000 }).write('blobs/a', upload, stop.signal)).rejects.toThrow('stopped')
  expect([store.aborted, store.objects.size]).toEqual([[], 0])
  expect(store.sent.length).toBeGreaterThan(0)
})

test('R3 what somebody left more than a week ago is ended, and nothing younger', async () => {
  const store = await fakeParts({ left: { old: Date.now() - 8 * 86_400_000, young: Date.now() - 6 * 86_400_000 } })
  await open(store.url, { partBytes: 4000 }).write('blobs/a', toUpload(Buffer.alloc(9000)), signal)
  expect(store.aborted).toEqual(['old'])
})

test('R4 a store that ignores the condition of a create is found out and told once; two writers are kept apart all the same', async () => {
  const objects = new Map<string, string>()
  const url = await listen(async (request, response) => {
    const path = request.url ?? ''
    const body = await drain(request)
    const found = objects.get(path)
    if (request.method === 'PUT') objects.set(path, body)
    else if (found === undefined) response.writeHead(404)
    response.end(request.method === 'PUT' ? '' : (found ?? errorXml('NoSuchKey')))
  })
  const lines: string[] = []
  const place = open(url, { tell: line => lines.push(line) })
  const create = (path: string, content: string) => place.create(path, Buffer.from(content), signal)
  const both = await Promise.all([create('versions/a.json', '1'), create('versions/a.json', '2')])
  expect(both.toSorted()).toEqual(['created', 'exists'])
  expect(objects.get('/models/registry/versions/a.json')).toBe(both[0] === 'created' ? '1' : '2')
  expect(await create('versions/a.json', '3')).toBe('exists')
  expect(await create('versions/b.json', '3')).toBe('created')
  expect(lines).toHaveLength(1)
  expect(lines[0]).toMatch(/ignores If-None-Match/)
})

test('R4 a create whose first answer was lost is created, and a conflict is asked again', async () => {
  let stored: string | null = null
  let puts = 0
  const url = await listen(async (request, response) => {
    const body = await drain(request)
    if (request.method !== 'PUT')
      return void response.writeHead(stored === null ? 404 : 200).end(stored ?? errorXml('NoSuchKey'))
    puts += 1
    if (puts === 1) return void response.writeHead(409).end(errorXml('ConditionalRequestConflict'))
    if (stored !== null) return void response.writeHead(412).end(errorXml('PreconditionFailed'))
    stored = body
    response.destroy()
  })
  expect(await open(url).create('versions/a.json', Buffer.from('1'), signal)).toBe('created')
  expect(await open(url).create('versions/a.json', Buffer.from('2'), signal)).toBe('exists')
})

async function gatherPaths(list: AsyncIterable<{ path: string }>): Promise<string[]> {
  const paths: string[] = []
  for await (const { path } of list) paths.push(path)
  return paths
}

type Parts = {
  /** An error's document instead; `null`: as usual. */
  begins?: (request: IncomingMessage) => string | null
  completes?: () => string | null
  /** An upload `0` of the object is there, with these parts. */
  found?: string[]
  /** What a list of uploads is refused with. */
  listing?: number
  refusesPartsOf?: string
  /** Uploads of other objects, and when they began. */
  left?: Record<string, number>
}

/** Uploads in parts, as far as tests look at them. */
async function fakeParts({ begins, completes, found, listing, refusesPartsOf, left = {} }: Parts) {
  const objects = new Map<string, number>()
  const aborted: string[] = []
  const sent: string[] = []
  const checksums: unknown[] = []
  const sizes = new Map<string, number>()
  let uploads = 0
  const url = await listen(async (request, response) => {
    const { pathname, searchParams: query } = new URL(request.url ?? '', 'http://store')
    const body = await drain(request)
    const id = query.get('uploadId')
    const end = (document: string, status = 200): ServerResponse => response.writeHead(status).end(document)
    if (query.has('uploads') && request.method === 'GET') {
      if (listing !== undefined) return end(errorXml('NotImplemented'), listing)
      const listed = [
        ...(found === undefined || aborted.includes('0') ? [] : [['registry/blobs/a', '0', Date.now()] as const]),
        ...Object.entries(left).map(([name, at]) => [`registry/blobs/${name}`, name, at] as const),
      ].filter(([key]) => key.startsWith(query.get('prefix') ?? ''))
      const items = listed.map(
        ([key, upload, at]) =>
          `<Upload><Key>${key}</Key><UploadId>${upload}</UploadId><Initiated>${new Date(at).toISOString()}</Initiated></Upload>`,
      )
      return end(`<ListMultipartUploadsResult>${items.join('')}</ListMultipartUploadsResult>`)
    }
    if (query.has('uploads')) {
      const refused = begins?.(request) ?? null
      if (refused !== null) return end(refused, 501)
      uploads += 1
      return end(`<InitiateMultipartUploadResult><UploadId>${uploads}</UploadId></InitiateMultipartUploadResult>`)
    }
    if (id !== null && request.method === 'GET')
      return end(`<ListPartsResult>${(found ?? []).join('')}<IsTruncated>false</IsTruncated></ListPartsResult>`)
    if (id !== null && request.method === 'DELETE') {
      aborted.push(id)
      return response.writeHead(204).end()
    }
    if (id !== null && request.method === 'PUT') {
      if (id === refusesPartsOf) return end(errorXml('InvalidRequest'), 400)
      const number = query.get('partNumber') ?? ''
      sent.push(number)
      sizes.set(number, body.length)
      if (request.headers['x-amz-checksum-sha256'] !== undefined) checksums.push(number)
      return response.writeHead(200, { etag: `"${createHash('md5').update(body).digest('hex')}"` }).end()
    }
    if (id !== null && request.method === 'POST') {
      const refused = completes?.() ?? null
      if (refused !== null) return end(refused)
      const kept = (found ?? []).length * 4000
      objects.set(
        pathname,
        found === undefined || aborted.length > 0 ? [...sizes.values()].reduce((a, b) => a + b, 0) : kept + 10,
      )
      return end('<CompleteMultipartUploadResult/>')
    }
    const bytes = objects.get(pathname)
    if (bytes === undefined) return end(request.method === 'HEAD' ? '' : errorXml('NoSuchKey'), 404)
    return response.writeHead(200, { 'content-length': String(bytes), 'last-modified': new Date().toUTCString() }).end()
  })
  return { url, objects, aborted, sent, checksums }
}
