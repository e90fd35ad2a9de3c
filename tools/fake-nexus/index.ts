/**
 * A Nexus Repository 3 on loopback with one raw hosted repository, as far as a registry uses it; it misbehaves on request.
 * What the real one does, and where that is written down: src/adapters/registry/nexus/index.ts.
 */
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export type FakeNexusSettings = {
  repository: string
  /** `Disable redeploy`, `Allow redeploy`, `Read-only`. */
  writePolicy: 'allow_once' | 'allow' | 'deny'
  /** The older release has short pages and other words. */
  release: '3.71' | '3.96'
  type: 'hosted' | 'group'
  /** `user:password`; `null`: anybody. */
  user: string | null
  /** What may not be done: 403. */
  forbidden: readonly ('browse' | 'read' | 'add' | 'delete')[]
  /** As behind a proxy: nothing stands behind the status. */
  dropsReasons: boolean
  /** The connection ends after so many bytes of a PUT's body; one after the other. */
  cutPuts: number[]
  /** Between the look for an object and its writing, which Nexus does in two steps. */
  beforeAttach: () => Promise<void>
  /** Answered instead, one after the other. */
  failWith: { status: number; reason?: string; headers?: Record<string, string> }[]
}

type Stored = { bytes: Buffer; at: Date }

const usual: FakeNexusSettings = {
  repository: 'models',
  writePolicy: 'allow_once',
  release: '3.96',
  type: 'hosted',
  user: null,
  forbidden: [],
  dropsReasons: false,
  cutPuts: [],
  beforeAttach: () => Promise.resolve(),
  failWith: [],
}

export type FakeNexus = Awaited<ReturnType<typeof startFakeNexus>>

export async function startFakeNexus(settings: Partial<FakeNexusSettings> = {}) {
  const objects = new Map<string, Stored>()
  const seen: { method: string; path: string }[] = []
  let now: FakeNexusSettings = { ...usual, ...settings }
  let takenBytes = 0

  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy())
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  // A TCP server that listens has an address object.
  const { port } = server.address() as AddressInfo
  const host = `http://127.0.0.1:${port}`

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = request
    const { pathname, searchParams } = new URL(url, host)
    seen.push({ method, path: decodeURIComponent(pathname) })
    const end = (status: number, reason: string, body: string | null = null): void => {
      response.writeHead(status, now.dropsReasons ? '' : reason, { server: `Nexus/${now.release}.0-01 (COMMUNITY)` })
      response.end(body ?? (now.dropsReasons ? reason : ''))
    }
    const fault = now.failWith.shift()
    if (fault !== undefined) {
      response.writeHead(fault.status, fault.reason ?? '', fault.headers ?? {})
      return void response.end()
    }
    if (now.user !== null && headers.authorization !== `Basic ${Buffer.from(now.user).toString('base64')}`)
      return end(401, 'Unauthorized')

    const [, name, path] = /^\/repository\/([^/]+)\/(.+)$/.exec(decodeURIComponent(pathname)) ?? []
    if (name !== undefined && path !== undefined) {
      if (name !== now.repository) return end(404, 'Repository not found')
      return answerContent(request, response, { path, end })
    }
    const [, described] = /^\/service\/rest\/v1\/repositories\/([^/]+)$/.exec(pathname) ?? []
    if (now.forbidden.includes('browse')) return end(403, 'Forbidden')
    if (described !== undefined)
      return described === now.repository
        ? end(
            200,
            'OK',
            JSON.stringify({ name: described, format: 'raw', type: now.type, url: `${host}/repository/${described}` }),
          )
        : end(404, 'Not Found')
    if (pathname === '/service/rest/v1/assets') return end(200, 'OK', JSON.stringify(pageOf(searchParams)))
    return end(404, 'Not Found', '<html><title>404 - Nexus Repository</title></html>')
  }

  async function answerContent(
    request: IncomingMessage,
    response: ServerResponse,
    { path, end }: { path: string; end: (status: number, reason: string) => void },
  ): Promise<void> {
    const stored = objects.get(path)
    switch (request.method) {
      case 'HEAD':
      case 'GET':
        if (now.forbidden.includes('read')) return end(403, 'Forbidden')
        return stored === undefined ? end(404, `/${path}`) : sendStored(request, response, stored)
      case 'DELETE':
        if (now.forbidden.includes('delete')) return end(403, 'Forbidden')
        return objects.delete(path) ? end(204, 'No Content') : end(404, `/${path}`)
      case 'PUT':
        return takePut(request, { path, end })
      default:
        return end(405, 'Method Not Allowed')
    }
  }

  async function takePut(
    request: IncomingMessage,
    { path, end }: { path: string; end: (status: number, reason: string) => void },
  ): Promise<void> {
    if (now.forbidden.includes('add')) return end(403, 'Forbidden')
    if (now.type === 'group') return end(405, 'Method Not Allowed')
    const cutAfter = now.cutPuts.shift() ?? Number.MAX_SAFE_INTEGER
    const pieces: Buffer[] = []
    let taken = 0
    // A request in bytes (no encoding was set) yields Buffers.
    for await (const piece of request as AsyncIterable<Buffer>) {
      taken += piece.length
      takenBytes += piece.length
      pieces.push(piece)
      if (taken >= cutAfter) return void request.destroy()
    }
    const isThere = objects.has(path)
    if (now.writePolicy === 'deny') return end(400, `${now.repository}/${path} is read-only`)
    if (isThere && now.writePolicy === 'allow_once')
      return now.release === '3.71'
        ? end(400, `Repository does not allow updating assets: ${now.repository}`)
        : end(409, `${now.repository}/${path} -  cannot be updated as asset already exists and redeploy is not allowed`)
    await now.beforeAttach()
    objects.set(path, { bytes: Buffer.concat(pieces), at: new Date() })
    end(201, 'Created')
  }

  function pageOf(query: URLSearchParams) {
    const size = now.release === '3.71' ? 10 : 100
    const paths = [...objects.keys()].toSorted()
    const after = query.get('continuationToken')
    const from = after === null ? 0 : paths.findIndex(path => digest('md5', Buffer.from(path)) === after) + 1
    const page = query.get('repository') === now.repository ? paths.slice(from, from + size) : []
    const last = page.at(-1)
    const more = last !== undefined && from + size < paths.length
    return {
      items: page.flatMap(path => {
        const stored = objects.get(path)
        if (stored === undefined) return []
        const { bytes, at } = stored
        const checksum = { sha1: digest('sha1', bytes), md5: digest('md5', bytes) }
        const lastModified = at.toISOString().replace('Z', '+00:00')
        return [
          {
            path: `/${path}`,
            repository: now.repository,
            format: 'raw',
            checksum,
            fileSize: bytes.length,
            lastModified,
          },
        ]
      }),
      continuationToken: more ? digest('md5', Buffer.from(last)) : null,
    }
  }

  return {
    url: `${host}/repository/${now.repository}`,
    objects,
    seen,
    /** Bytes of bodies that came in. */
    taken: () => takenBytes,
    behave(next: Partial<FakeNexusSettings>): void {
      now = { ...usual, ...next }
    },
    async close(): Promise<void> {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

function sendStored(request: IncomingMessage, response: ServerResponse, { bytes, at }: Stored): void {
  const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? []
  const headers = { 'etag': `"${digest('sha1', bytes)}"`, 'last-modified': at.toUTCString() }
  if (from !== undefined && Number(from) >= bytes.length) {
    response.writeHead(416, 'Range Not Satisfiable', { 'content-range': `bytes */${bytes.length}` })
    return void response.end()
  }
  const first = Number(from ?? 0)
  const end = Math.min(Number(to ?? bytes.length - 1) + 1, bytes.length)
  const range = from === undefined ? {} : { 'content-range': `bytes ${first}-${end - 1}/${bytes.length}` }
  response.writeHead(from === undefined ? 200 : 206, { ...headers, ...range, 'content-length': String(end - first) })
  response.end(request.method === 'HEAD' ? undefined : bytes.subarray(first, end))
}

const digest = (algorithm: 'md5' | 'sha1', bytes: Buffer): string => createHash(algorithm).update(bytes).digest('hex')
