import { createHash } from 'node:crypto'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { openWebFile, webFileName, type WebSource } from './index.ts'

const { signal } = new AbortController()
const content = Buffer.from('GGUF and more of it')
const sha256 = createHash('sha256').update(content).digest('hex')

const closers: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})

async function listen(answer: RequestListener): Promise<string> {
  const server = createServer(answer)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  closers.push(async () => {
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
  })
  // A TCP server that listens has an address object.
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const ranged: RequestListener = ({ headers }, response) => {
  const [, from = '0', last = ''] = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? '') ?? []
  const part = content.subarray(Number(from), last === '' ? undefined : Number(last) + 1)
  if (headers.range === undefined) response.writeHead(200, { etag: '"a"' }).end(content)
  else
    response
      .writeHead(206, {
        'etag': '"a"',
        'content-range': `bytes ${from}-${Number(from) + part.length - 1}/${content.length}`,
        'content-length': part.length,
      })
      .end(part)
}

const sourceAt = (base: string): WebSource => ({ kind: 'web', url: `${base}/models/m%20x.gguf?a=1`, sha256 })

async function textOf(pieces: AsyncIterable<Uint8Array>): Promise<string> {
  const all: Uint8Array[] = []
  for await (const piece of pieces) all.push(piece)
  return Buffer.concat(all).toString()
}

test('a file is known by its address’s last name and its digest, and read whole or in ranges', async () => {
  const web = openWebFile()
  const source = sourceAt(await listen(ranged))
  const file = await web.locate(source, 'm x.gguf', signal)
  expect(file).toMatchObject({ path: 'm x.gguf', bytes: content.length, digest: { algorithm: 'sha256', hex: sha256 } })
  if (file === null) return
  const part = await web.read(file, { offset: 5, to: 8, etag: '"a"' }, signal)
  expect(part).toMatchObject({ offset: 5, to: 8, etag: '"a"' })
  expect(await textOf(part.bytes)).toBe('and')
  const whole = await web.read(file, { offset: 0, etag: null }, signal)
  expect(await textOf(whole.bytes)).toBe(content.toString())
  expect(await web.locate(source, 'other', signal)).toBeNull()
})

test('a storage that it redirects to is asked for the ranges, and the first address again once that refuses', async () => {
  let expired = false
  const seen: string[] = []
  const storage = await listen((request, response) => {
    seen.push('storage')
    if (expired) response.writeHead(403).end()
    else ranged(request, response)
  })
  const first = await listen((_, response) => {
    seen.push('first')
    expired = false
    response.writeHead(302, { location: `${storage}/x` }).end()
  })
  const web = openWebFile()
  const file = await web.locate(sourceAt(first), 'm x.gguf', signal)
  if (file === null) throw new Error('it was not located')
  const read = async (): Promise<string> =>
    textOf((await web.read(file, { offset: 0, to: 4, etag: null }, signal)).bytes)
  expect(await read()).toBe('GGUF')
  expired = true
  expect(await read()).toBe('GGUF')
  expect(seen).toEqual(['first', 'storage', 'storage', 'storage', 'first', 'storage'])
})

test.each([
  ['what is not there', 404, {}, { retry: 'never', message: /answers 404$/ }],
  ['what wants a login', 401, {}, { retry: 'never', message: /login/ }],
  ['a server that is busy', 503, { 'retry-after': '7' }, { retry: 'soon', message: /503/, afterMs: 7_000 }],
  ['a redirect to nowhere', 302, { location: 'http://[' }, { retry: 'never', message: /no address/ }],
  ['a redirect to a file', 302, { location: 'file:///etc/passwd' }, { retry: 'never', message: /not followed/ }],
])('%s is told', async (_, status, headers, { message, ...expected }) => {
  const url = await listen((_request, response) => void response.writeHead(status, headers).end())
  const error: unknown = await openWebFile()
    .locate(sourceAt(url), 'm x.gguf', signal)
    .catch((caught: unknown) => caught)
  expect(error).toMatchObject({ ...expected, message: expect.stringMatching(message) as string })
})

test('an address without a file, or with a name that leads elsewhere, is refused', () => {
  for (const url of ['https://a/', 'https://a/b/', 'https://a/..%2f..%2fx', 'https://a/%00', 'no'])
    expect(() => webFileName(url)).toThrow(/names no file/)
})
