/** Bodies as engines take them: JSON, and forms with files. */
import type { IncomingMessage } from 'node:http'
import { z } from 'zod'

const bodyBytesMax = 64 * 1024 * 1024

export async function readBytes(req: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of req) {
    const part = Buffer.from(chunk)
    bytes += part.length
    if (bytes > bodyBytesMax) throw new Error(`The body is larger than ${bodyBytesMax} bytes.`)
    chunks.push(part)
  }
  return Buffer.concat(chunks)
}

/** Files become their name, type and size. Throws when it is neither JSON nor a form. */
export async function parseBody(raw: Buffer, type: string): Promise<unknown> {
  if (!type.startsWith('multipart/form-data')) return JSON.parse(raw.toString())
  const form = await new Response(new Uint8Array(raw), { headers: { 'content-type': type } }).formData()
  const fields = Array.from(form.entries(), ([name, value]) => [
    name,
    typeof value === 'string' ? value : { name: value.name, type: value.type, bytes: value.size },
  ])
  return Object.fromEntries(fields)
}

/** The first thing that is wrong. */
export function problemOf(error: unknown): string {
  if (error instanceof z.ZodError) {
    const [issue] = error.issues
    return issue ? issue.message : error.message
  }
  return error instanceof Error ? error.message : String(error)
}
