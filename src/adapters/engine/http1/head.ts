/** The head of an answer: status line and headers, read strictly; what is not plainly right is refused. */

export type Head = {
  status: number
  contentType: string
  /** How the body ends: after so many bytes, with its last chunk, or with the connection. */
  framing: { by: 'length'; bytes: number } | { by: 'chunks' } | { by: 'close' }
  /** How long the connection may be kept for another request, as far as the engine says; 0: not at all. */
  keepMs: number
}

/** What an engine sent is not HTTP/1.1 as it should be. */
export class Malformed extends Error {
  constructor(what: string) {
    super(`its answer is malformed: ${what}`)
    this.name = 'Malformed'
  }
}

/** As Node's own client. */
export const mostHeadBytes = 16 * 1024
const mostHeaders = 100
export const headEnd = '\r\n\r\n'

/** What an incomplete head must begin with, so that who speaks another protocol is refused at its first bytes. */
const version = 'HTTP/1.'

/** Whether this may become a head, when more of it comes. */
export function mayBecomeHead(text: string): boolean {
  return text.length < version.length ? version.startsWith(text) : text.startsWith(version)
}

/**
 * The whole of a head in one look: no bare CR or LF, no control characters, no folded lines, no space before a colon. Its
 * parts can't overlap, so the time it takes grows with the length alone.
 */
const pattern =
  /^HTTP\/1\.[01] [1-9]\d\d(?: [\t\x20-\x7e\x80-\xff]*)?\r\n(?:[\w!#$%&'*+\-.^`|~]+:[\t\x20-\x7e\x80-\xff]*\r\n)*\r\n$/

/** `text` is Latin-1, and ends with the empty line. Throws Malformed. */
export function parseHead(text: string): Head {
  if (!pattern.test(text)) throw new Malformed(whatIsWrong(text))
  const status = Number(text.slice(9, 12))
  const isOld = text[7] === '0'
  let contentType: string | null = null
  let length: string | null = null
  let encoding: string | null = null
  let keepMs = isOld ? 0 : Infinity
  let headers = 0
  for (let from = text.indexOf('\r\n') + 2; from < text.length - 2;) {
    const end = text.indexOf('\r\n', from)
    const colon = text.indexOf(':', from)
    if (++headers > mostHeaders) throw new Malformed(`it has more than ${mostHeaders} headers`)
    // Only those of interest are cut out.
    switch (colon - from) {
      case 10: {
        const name = nameAt(from, colon)
        if (name === 'connection' && says(valueAt(colon, end), 'close')) keepMs = 0
        if (name === 'keep-alive') keepMs = Math.min(keepMs, toldMs(valueAt(colon, end)))
        break
      }
      case 12:
        if (nameAt(from, colon) === 'content-type') contentType ??= valueAt(colon, end)
        break
      case 14:
        if (nameAt(from, colon) !== 'content-length') break
        if (length !== null) throw new Malformed('it has two content-length headers')
        length = exactAt(colon, end)
        break
      case 17:
        if (nameAt(from, colon) !== 'transfer-encoding') break
        if (encoding !== null) throw new Malformed('it has two transfer-encoding headers')
        encoding = exactAt(colon, end)
        break
    }
    from = end + 2
  }
  const framing = framingOf({ status, isOld, length, encoding })
  return { status, contentType: contentType ?? '', framing, keepMs: framing.by === 'close' ? 0 : keepMs }

  function nameAt(from: number, colon: number): string {
    return text.slice(from, colon).toLowerCase()
  }

  /** Only spaces and tabs are taken off: `trim` knows more. */
  function valueAt(colon: number, end: number): string {
    return text.slice(colon + 1, end).replace(/^[ \t]+|[ \t]+$/g, '')
  }

  /** With the spaces that end it: parsers disagree over them, and what two read differently hides an answer in another. */
  function exactAt(colon: number, end: number): string {
    return text.slice(colon + 1, end).replace(/^[ \t]+/, '')
  }
}

type FramingParts = { status: number; isOld: boolean; length: string | null; encoding: string | null }

/** RFC 9112, 6.3; where it lets a client choose between repairing and refusing, refused. */
function framingOf({ status, isOld, length, encoding }: FramingParts): Head['framing'] {
  if (encoding !== null && length !== null)
    throw new Malformed('it has both a content-length and a transfer-encoding, which says two things of its end')
  if (length !== null && !/^\d{1,15}$/.test(length)) throw new Malformed('its content-length is no number of bytes')
  if (encoding !== null && (isOld || encoding.toLowerCase() !== 'chunked'))
    throw new Malformed('its transfer-encoding is something else than chunked')
  if (isOld && status < 200) throw new Malformed('HTTP/1.0 has no interim answers')
  if (status < 200 || status === 204 || status === 304) return { by: 'length', bytes: 0 }
  if (encoding !== null) return { by: 'chunks' }
  return length === null ? { by: 'close' } : { by: 'length', bytes: Number(length) }
}

const says = (value: string, word: string): boolean => value.split(',').some(each => each.trim().toLowerCase() === word)

/** `timeout=5`: a second less, for the way. */
function toldMs(value: string): number {
  const seconds = /(?:^|[,;\s])timeout=(\d{1,6})(?:[,;\s]|$)/i.exec(value)?.[1]
  return seconds === undefined ? Infinity : Math.max(0, Number(seconds) - 1) * 1_000
}

/** In words, for who has to mend the engine. Looked for only once it is known that something is. */
function whatIsWrong(text: string): string {
  const lines = text.slice(0, -headEnd.length).split('\r\n')
  if (!/^HTTP\/1\.[01] [1-9]\d\d(?: |$)/.test(lines[0] ?? '')) return 'its first line is no HTTP/1.1 status line'
  if (lines.slice(1).some(line => /^[ \t]/.test(line))) return 'a header goes on in the next line, which is obsolete'
  if (/[^\t\r\n\x20-\x7e\x80-\xff]|\r(?!\n)|(?<!\r)\n/.test(text)) return 'its head has control characters'
  return 'a header has no name, or a name with characters that none can have'
}
