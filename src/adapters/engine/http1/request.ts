/** A request as bytes: head and body, for one write. */

export type Request = {
  method: 'GET' | 'POST'
  path: string
  headers: Readonly<Record<string, string>>
  /** `null`: none. */
  body: string | Uint8Array | null
}

/** As it goes out. `text`: all of it, or what stands before `bytes`. */
export type RequestText = { text: string; encoding: 'latin1' | 'utf8'; bytes: Uint8Array | null }

/** Throws when a header or the path can't be carried, naming it and never its value. */
export function renderRequest({ method, path, headers, body }: Request, host: string): RequestText {
  if (!targetPattern.test(path)) throw new Error('the path of a request to an engine has characters no path can carry')
  let head = `${method} ${path} HTTP/1.1\r\nhost: ${host}\r\n`
  for (const name in headers) {
    const value = headers[name] ?? ''
    if (!valuePattern.test(value)) throw new Error(`the header ${name} has characters no header can carry`)
    head += `${name}: ${value}\r\n`
  }
  if (body === null) return { text: `${head}\r\n`, encoding: 'latin1', bytes: null }
  if (typeof body !== 'string')
    return { text: `${head}content-length: ${body.length}\r\n\r\n`, encoding: 'latin1', bytes: body }
  const length = Buffer.byteLength(body)
  // A quarter of the time for what is ASCII, as most bodies are.
  const encoding = length === body.length ? 'latin1' : 'utf8'
  return { text: `${head}content-length: ${length}\r\n\r\n${body}`, encoding, bytes: null }
}

const targetPattern = /^\/[\x21-\x7e]*$/
const valuePattern = /^[\t\x20-\x7e]*$/
