/**
 * A hub on loopback that answers as Hugging Face does, its storage on another port, and both misbehave on request. What
 * the real one sends, and where that is written down: src/adapters/registry/hugging-face/index.ts.
 */
import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export type HubRequestSeen = {
  at: 'hub' | 'storage'
  method: string
  path: string
  range: string | null
  ifRange: string | null
  authorization: string | null
}

export type HubBehaviour = {
  /** Whose token may read; `null`: anybody. */
  gatedFor: string | null
  /** Answered instead, one after the other. */
  failWith: { at: 'hub' | 'storage'; status: number; headers?: Record<string, string> }[]
  /** Bytes of the body after which each answer of the storage is cut; then none is. */
  cuts: number[]
  /** Stops after so many bytes of a body, and goes on with `resume`. */
  holdAfter: number | null
  /** The storage's tag of the bytes; a change of it is a change of the bytes for who resumes. */
  etag: string
  /** Answers of the storage after which it has another tag, and ranges of before are of other bytes; `null`: never. */
  tagChangesAfter: number | null
  ignoresRange: boolean
  /** Most bytes of an answer to a range. */
  mostOfRange: number
  /** The storage sends these instead. */
  sends: Buffer | null
  /** What the storage says of the length, and keeps to neither. */
  chunked: boolean
  hubHeaders: (headers: Record<string, string>) => Record<string, string>
  /** Where the storage is said to be. */
  redirectTo: string | null
  /** Kept in git, and served by the hub itself. */
  inGit: boolean
}

export type Hub = Awaited<ReturnType<typeof startHub>>

export const commit = '4f1c2d9e0a1b2c3d4e5f60718293a4b5c6d7e8f9'
export const repositoryName = 'holdfast/smoke'

const usual: HubBehaviour = {
  gatedFor: null,
  failWith: [],
  cuts: [],
  holdAfter: null,
  etag: '"storage-1"',
  tagChangesAfter: null,
  ignoresRange: false,
  mostOfRange: Infinity,
  sends: null,
  chunked: false,
  hubHeaders: headers => headers,
  redirectTo: null,
  inGit: false,
}

/** Serves `files` as the repository `holdfast/smoke` at one commit, and as `holdfast/renamed`, which redirects there. */
export async function startHub(files: Record<string, Buffer>) {
  const seen: HubRequestSeen[] = []
  const waiting = new Set<() => void>()
  let behaviour: HubBehaviour = { ...usual }
  let held = Promise.withResolvers<'go on' | 'cut'>()
  let sentBytes = 0

  const storage = await listen(note('storage', answerStorage))
  const hub = await listen(note('hub', answerHub))

  function note(at: 'hub' | 'storage', answer: RequestListener): RequestListener {
    return (request, response) => {
      const { method = '', url = '', headers } = request
      seen.push({
        at,
        method,
        path: url,
        range: headers.range ?? null,
        ifRange: single(headers['if-range']),
        authorization: headers.authorization ?? null,
      })
      const failure = behaviour.failWith.findIndex(entry => entry.at === at)
      if (failure >= 0) {
        const [entry] = behaviour.failWith.splice(failure, 1)
        response.writeHead(entry?.status ?? 500, entry?.headers).end()
      } else answer(request, response)
      for (const wake of waiting) wake()
    }
  }

  function answerHub(request: IncomingMessage, response: ServerResponse): void {
    const path = decodeURIComponent(new URL(request.url ?? '', 'http://hub').pathname)
    const { authorization } = request.headers
    const refuse = (status: number, code: string): void =>
      void response
        .writeHead(status, { 'x-error-code': code, 'x-error-message': `${code} for you` })
        .end('{"error":"no"}')

    const [, renamed] = /^\/holdfast\/renamed\/(.*)$/.exec(path) ?? []
    if (renamed !== undefined) {
      response.writeHead(307, { location: `/${repositoryName}/${renamed}` }).end()
      return
    }
    const isOurs = path.startsWith(`/${repositoryName}/`) || path.startsWith(`/api/models/${repositoryName}/`)
    if (!isOurs) return refuse(authorization === undefined ? 401 : 404, 'RepoNotFound')
    if (behaviour.gatedFor !== null && authorization !== `Bearer ${behaviour.gatedFor}`)
      return refuse(authorization === undefined ? 401 : 403, 'GatedRepo')

    const [, verb, revision = '', file] =
      /^\/(?:api\/models\/)?holdfast\/smoke\/(resolve|tree|revision|commits)\/([^/]*)(?:\/(.*))?$/.exec(path) ?? []
    if (revision !== commit && revision !== 'main') return refuse(404, 'RevisionNotFound')
    if (verb === 'revision') return json(response, { id: repositoryName, sha: commit })
    if (verb === 'commits') return answerCommits(request, response)
    if (verb === 'tree')
      return json(
        response,
        Object.entries(files).map(([name, bytes]) => ({ type: 'file', oid: 'x', size: bytes.length, path: name })),
      )
    const bytes = files[file ?? '']
    if (bytes === undefined) return refuse(404, 'EntryNotFound')
    if (behaviour.inGit) {
      const sha1 = createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex')
      response.setHeaders(new Headers(behaviour.hubHeaders({ 'x-repo-commit': commit, 'etag': `"${sha1}"` })))
      if (request.method === 'HEAD') response.writeHead(200, { 'content-length': bytes.length }).end()
      else void send(request, response, behaviour.sends ?? bytes)
      return
    }
    const headers = {
      'x-repo-commit': commit,
      'x-linked-size': String(bytes.length),
      'x-linked-etag': `"${createHash('sha256').update(bytes).digest('hex')}"`,
      'etag': '"of-the-redirect"',
      'location': behaviour.redirectTo ?? `${storage.url}/${encodeURIComponent(file ?? '')}?signature=${seen.length}`,
    }
    response.writeHead(302, behaviour.hubHeaders(headers)).end('Found. Redirecting.')
  }

  /** Two pages; the asked commit is on the second. */
  function answerCommits(request: IncomingMessage, response: ServerResponse): void {
    const second = new URL(request.url ?? '', 'http://hub').searchParams.has('cursor')
    if (!second)
      response.setHeader(
        'link',
        `<https://huggingface.co/api/models/${repositoryName}/commits/main?cursor=2>; rel="next"`,
      )
    json(response, second ? [{ id: commit }, { id: `abcdef1${'0'.repeat(33)}` }] : [{ id: `abcdef1${'1'.repeat(33)}` }])
  }

  function answerStorage(request: IncomingMessage, response: ServerResponse): void {
    const name = decodeURIComponent(new URL(request.url ?? '', 'http://storage').pathname.slice(1))
    void send(request, response, behaviour.sends ?? files[name] ?? Buffer.alloc(0))
  }

  async function send(request: IncomingMessage, response: ServerResponse, bytes: Buffer): Promise<void> {
    if (behaviour.tagChangesAfter !== null && behaviour.tagChangesAfter-- === 0) {
      behaviour.tagChangesAfter = null
      behaviour.etag = `"storage-${seen.length}"`
    }
    const { from, end } = rangeOf(request)
    if (from !== null && from >= bytes.length) {
      response.writeHead(416, { 'content-range': `bytes */${bytes.length}` }).end()
      return
    }
    if (!behaviour.inGit) response.setHeader('etag', behaviour.etag)
    const body = bytes.subarray(from ?? 0, end)
    const range = from === null ? {} : { 'content-range': `bytes ${from}-${from + body.length - 1}/${bytes.length}` }
    const length = behaviour.chunked ? {} : { 'content-length': body.length }
    response.writeHead(from === null ? 200 : 206, { ...range, ...length })
    const cut = behaviour.cuts.shift()
    const until = Math.min(cut ?? body.length, behaviour.holdAfter ?? body.length, body.length)
    await write(response, body.subarray(0, until))
    for (const wake of waiting) wake()
    if (cut !== undefined && cut <= until) {
      if (behaviour.chunked) response.end()
      else response.destroy()
      return
    }
    if (until < body.length) {
      if ((await held.promise) === 'cut') {
        response.destroy()
        return
      }
      await write(response, body.subarray(until))
    }
    response.end()
  }

  async function write(response: ServerResponse, bytes: Buffer): Promise<void> {
    if (bytes.length === 0) return
    const { promise, resolve } = Promise.withResolvers<void>()
    response.once('close', resolve)
    response.write(bytes, () => resolve())
    await promise
    sentBytes += bytes.length
  }

  function rangeOf({ headers }: IncomingMessage): { from: number | null; end: number | undefined } {
    const [, from, last = ''] = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? '') ?? []
    const same = headers['if-range'] === undefined || headers['if-range'] === behaviour.etag
    if (from === undefined || behaviour.ignoresRange || !same) return { from: null, end: undefined }
    const most = Number(from) + behaviour.mostOfRange
    const end = Math.min(most, last === '' ? Infinity : Number(last) + 1)
    return { from: Number(from), end: end === Infinity ? undefined : end }
  }

  return {
    url: hub.url,
    seen,
    /** Of bodies, by both. */
    sent: () => sentBytes,
    /** As it behaves when nothing is asked of it, but for this. */
    behave(asked: Partial<HubBehaviour>): void {
      behaviour = { ...usual, ...asked }
    },
    /** Bodies that are held go on, and the next ones are held anew. */
    resume(): void {
      held.resolve('go on')
      held = Promise.withResolvers()
    },
    /** Bodies that are held are cut: unlike with `cuts`, all bytes before have been read by whoever saw them. */
    cut(): void {
      held.resolve('cut')
      held = Promise.withResolvers()
    },
    /** Resolves once it is so; looked at after every request and every body. */
    async until(isSo: () => boolean): Promise<void> {
      while (!isSo()) {
        const { promise, resolve } = Promise.withResolvers<void>()
        waiting.add(resolve)
        await promise
        waiting.delete(resolve)
      }
    },
    async close(): Promise<void> {
      held.resolve('cut')
      await Promise.all([hub.close(), storage.close()])
    },
  }
}

const single = (value: string | string[] | undefined): string | null => (typeof value === 'string' ? value : null)

function json(response: ServerResponse, body: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

async function listen(answer: RequestListener): Promise<{ url: string; close: () => Promise<void> }> {
  const server = createServer(answer)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return {
    // A TCP server that listens has an address object.
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      server.closeAllConnections()
      await new Promise<void>(resolve => server.close(() => resolve()))
    },
  }
}
