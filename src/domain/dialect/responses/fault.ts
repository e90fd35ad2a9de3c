/** Errors as the Responses API words them: what they name has another name there. */
import type { HttpFault } from '../../fault.ts'

const names: Readonly<Record<string, string>> = { messages: 'input', max_tokens: 'max_output_tokens' }

export function toResponsesFault({ body: { error } }: HttpFault): HttpFault['body'] {
  return {
    error: {
      ...error,
      message: error.message.replaceAll('max_tokens', 'max_output_tokens'),
      param: error.param === null ? null : (names[error.param] ?? error.param),
    },
  }
}
