/** A request as bytes: head and body, for one write. */

export type Request = {
  method: 'GET' | 'POST'
  path: string
  headers: Readonly<Record<string, string>>
  /** `null`: none. */
  body: string | Uint8Array | null
}

/** Head as text. Throws when a header or the path can't be carried, naming it and never its value. */
export function renderHead({ method, path, headers, body }: Request, host: string): string {
  if (!targetPattern.test(path)) throw new Error('the path of a request to an engine has characters no path can carry')
  let head = `${method} ${path} HTTP/1.1\r\nhost: ${host}\r\n`
  for (const name in headers) {
    const value = headers[name] ?? ''
    if (!valuePattern.test(value)) throw new Error(`the header ${name} has characters no header can carry`)
    head += `${name}: ${value}\r\n`
  }
  if (body === null) return `${head}\r\n`
  const length = typeof body === 'string' ? Buffer.byteLength(body) : body.length
  return `${head}content-length: ${length}\r\n\r\n`
}

const targetPattern = /^\/[\x21-\x7e]*$/
const valuePattern = /^[\t\x20-\x7e]*$/
