/**
 * The head of a request as nearly all clients write it. The grammar is narrower than HTTP on purpose: whatever could be read in two
 * ways, or asks more of a connection than a body and an answer, is not plain, and goes to node:http (docs/design/0013).
 */

/** What the gateway reads of a request's headers, whoever has parsed them. */
export type RequestHeaders = { readonly [Name in HeaderRead]?: string | string[] | undefined }
export type HeaderRead =
  | 'anthropic-version'
  | 'authorization'
  | 'content-type'
  | 'x-api-key'
  | 'x-forwarded-for'
  | 'x-holdfast-conversation'
  | 'x-openwebui-chat-id'
  | 'x-openwebui-user-id'
  | 'x-request-id'

export type PlainHeaders = { [Name in HeaderRead]: string | undefined }

/** `bytes`: of the head, its blank line included. */
export type PlainHead = { path: string; headers: Readonly<PlainHeaders>; contentLength: number; bytes: number }

/** As node:http bounds them (`server.ts`). */
export const mostHeadBytes = 16 * 1024
export const mostHeaders = 100

/** Each part ends where the next can't begin, so that it takes time by its length alone. */
const grammar = /^POST \/[a-z0-9/_-]+ HTTP\/1\.1\r\n(?:[A-Za-z0-9-]+: ?[!-~]+(?: +[!-~]+)*\r\n)+$/
const target = 'POST '.length
const version = ' HTTP/1.1\r\n'.length

/** `text`: what has been read since the last request's end, as latin1. `null`: it is not plain, or not all of it has come. */
export function readPlainHead(text: string): PlainHead | null {
  const end = text.indexOf('\r\n\r\n') + 2
  if (end < 2 || end + 2 > mostHeadBytes || !grammar.test(text.slice(0, end))) return null
  const requestLine = text.indexOf('\r\n') + 2
  const headers = noHeaders()
  let contentLength = -1
  let hosts = 0
  let count = 0
  for (let at = requestLine; at < end; count++) {
    const colon = text.indexOf(':', at)
    const lineEnd = text.indexOf('\r\n', colon)
    const name = text.slice(at, colon).toLowerCase()
    const value = text.slice(text.charCodeAt(colon + 1) === space ? colon + 2 : colon + 1, lineEnd)
    at = lineEnd + 2
    const meaning = meanings.get(name)
    if (meaning === undefined) continue
    if (meaning === 'odd') return null
    if (meaning === 'host') hosts += 1
    else if (meaning === 'length') {
      if (contentLength !== -1 || !/^\d{1,10}$/.test(value)) return null
      contentLength = Number(value)
    } else if (meaning === 'connection') {
      if (value.toLowerCase() !== 'keep-alive') return null
    } else {
      if (headers[meaning] !== undefined) return null
      headers[meaning] = value
    }
  }
  if (hosts !== 1 || contentLength === -1 || count > mostHeaders) return null
  return { path: text.slice(target, requestLine - version), headers, contentLength, bytes: end + 2 }
}

const space = 0x20

/** Headers that are looked at; all others mean nothing to the gateway. `odd`: node:http's. */
const meanings = new Map<string, HeaderRead | 'odd' | 'host' | 'length' | 'connection'>([
  ['host', 'host'],
  ['content-length', 'length'],
  ['connection', 'connection'],
  ...[
    'content-encoding',
    'expect',
    'keep-alive',
    'proxy-connection',
    'te',
    'trailer',
    'transfer-encoding',
    'upgrade',
  ].map((name): [string, 'odd'] => [name, 'odd']),
  // Every name of them is there, as its type says.
  ...(Object.keys(noHeaders()) as HeaderRead[]).map((name): [string, HeaderRead] => [name, name]),
])

/** All names at once: objects of one shape are read without a search. */
function noHeaders(): PlainHeaders {
  return {
    'anthropic-version': undefined,
    'authorization': undefined,
    'content-type': undefined,
    'x-api-key': undefined,
    'x-forwarded-for': undefined,
    'x-holdfast-conversation': undefined,
    'x-openwebui-chat-id': undefined,
    'x-openwebui-user-id': undefined,
    'x-request-id': undefined,
  }
}
