/** Messages as Ollama reads them. */
import { FaultError } from '../../../domain/fault.ts'
import { asText, field, isRecord } from '../openai/index.ts'

/**
 * Of a list of parts it makes a message each, which splits turns and loses whose result a tool's is: texts are joined. A
 * message without content is an error there, and what a model thought earlier is called `reasoning`.
 */
export function toMessages(messages: unknown): unknown {
  if (!Array.isArray(messages)) return messages
  return messages.map((message: unknown, index) => (isRecord(message) ? toMessage(message, index) : message))
}

function toMessage(message: Record<string, unknown>, index: number): Record<string, unknown> {
  const { reasoning_content: thought, ...rest } = message
  return {
    ...rest,
    content: toContent(message['content'], index),
    ...(typeof thought === 'string' && rest['reasoning'] === undefined ? { reasoning: thought } : {}),
  }
}

function toContent(content: unknown, index: number): unknown {
  if (content === undefined || content === null) return ''
  if (!Array.isArray(content)) return content
  const texts = content.map((part: unknown) => (field(part, 'type') === 'text' ? asText(field(part, 'text')) : null))
  if (texts.every(text => text !== null)) return texts.join('\n')
  for (const [at, part] of content.entries()) refuseRemote(part, `messages[${index}].content[${at}]`)
  return content
}

/** It fetches nothing, and says no more of it than «invalid image input». */
function refuseRemote(part: unknown, param: string): void {
  const image = field(part, 'image_url')
  const url = asText(image) ?? asText(field(image, 'url'))
  if (url === null || !/^https?:/i.test(url)) return
  const problem =
    'Ollama fetches no images: send the image itself, as a data URL (data:image/png;base64,…), instead of its address.'
  throw new FaultError({ kind: 'request-invalid', param, problem })
}
