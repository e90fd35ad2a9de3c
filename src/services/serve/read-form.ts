/** A form: its fields and files, once it is known that it is small enough to be read. */
import { MIMEType } from 'node:util'
import { FaultError } from '../../domain/fault.ts'

/** A part costs far more than its bytes, and the form that engines take has some ten. */
const mostParts = 100
const partHeadBytes = 16 * 1024

const expected = "This route takes multipart/form-data with the fields 'model' and 'file'."

/** Throws FaultError `request-invalid`. */
export async function readForm(contentType: string, bytes: Uint8Array): Promise<FormData> {
  const boundary = boundaryOf(contentType)
  if (boundary === null) throw invalid(expected)
  refuseLarge(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), `--${boundary}`)
  try {
    // A Uint8Array over a plain ArrayBuffer is a body; the cast only drops the case of shared memory, which sockets never give.
    const body = bytes as Uint8Array<ArrayBuffer>
    return await new Response(body, { headers: { 'content-type': contentType } }).formData()
  } catch (error) {
    throw invalid(`${expected} This one cannot be read.`, error)
  }
}

/** The text fields of a form; the first of each name counts. `stream` is a word there. */
export function fieldsOf(form: FormData): Record<string, unknown> {
  if (!(form.get('file') instanceof Blob))
    throw new FaultError({ kind: 'request-invalid', param: 'file', problem: "'file' must be the recording, a file." })
  const fields = new Map<string, unknown>()
  for (const [name, value] of form) if (typeof value === 'string' && !fields.has(name)) fields.set(name, value)
  if (fields.has('stream')) fields.set('stream', fields.get('stream') === 'true')
  return Object.fromEntries(fields)
}

/** As the reader of forms finds it: by the same rules (WHATWG's), so that both see the same parts. `null`: it is no form. */
function boundaryOf(contentType: string): string | null {
  try {
    const { essence, params } = new MIMEType(contentType)
    return essence === 'multipart/form-data' ? params.get('boundary') : null
  } catch {
    return null
  }
}

function refuseLarge(bytes: Buffer, delimiter: string): void {
  let parts = 0
  for (let at = bytes.indexOf(delimiter); at !== -1; parts++) {
    if (parts > mostParts) throw invalid(`This form has more than the ${mostParts} fields allowed here.`)
    const next = bytes.indexOf(delimiter, at + delimiter.length)
    const head = bytes.indexOf('\r\n\r\n', at)
    if (next !== -1 && (head === -1 ? next : Math.min(head, next)) - at > partHeadBytes)
      throw invalid(`A field of this form has headers of more than the ${partHeadBytes} bytes allowed here.`)
    at = next
  }
}

function invalid(problem: string, cause?: unknown): FaultError {
  return new FaultError({ kind: 'request-invalid', param: null, problem }, { cause })
}
