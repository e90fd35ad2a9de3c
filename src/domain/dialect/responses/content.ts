/** Content parts of input items, as chat messages have them. Rules S8–S10. */
import type { ContentPart } from '../chat.ts'
import { fieldReader, isJson, isList, isText, type Json, type Refuse } from './refuse.ts'

/** A string, or parts. Parts that are all text become one string: many chat templates take no lists. */
export function readContent(content: unknown, at: string, refuse: Refuse): string | ContentPart[] {
  if (isText(content)) return content
  if (!isList(content)) {
    refuse(at, `'${at}' must be a string or an array of content parts.`)
    return ''
  }
  const parts = content.flatMap((part, index) => readPart(part, `${at}[${index}]`, refuse) ?? [])
  const texts = parts.flatMap(part => (part.type === 'text' ? [part.text] : []))
  return texts.length === parts.length ? texts.join('\n') : parts
}

/** Content that engines take as text only (what an assistant said, instructions). `whose` names it in a refusal. */
export function readText(content: unknown, at: string, { refuse, whose, join }: TextReading): string {
  if (isText(content)) return content
  if (!isList(content)) {
    refuse(at, `'${at}' must be a string or an array of content parts.`)
    return ''
  }
  const texts = content.map((part, index) => {
    const text = isJson(part) ? textOf(part) : null
    if (text !== null) return text
    refuse(`${at}[${index}]`, `'${at}[${index}]' is no text: ${whose} holds text parts only.`)
    return ''
  })
  return texts.join(join)
}

type TextReading = { refuse: Refuse; whose: string; join: string }

const textTypes: readonly unknown[] = ['input_text', 'output_text', 'text', 'summary_text', 'reasoning_text']

function textOf(part: Json): string | null {
  if (part['type'] === 'refusal') return isText(part['refusal']) ? part['refusal'] : null
  return textTypes.includes(part['type']) && isText(part['text']) ? part['text'] : null
}

function readPart(part: unknown, at: string, refuse: Refuse): ContentPart | null {
  if (!isJson(part)) {
    refuse(at, `'${at}' must be a content part, an object with a 'type'.`)
    return null
  }
  const text = textOf(part)
  if (text !== null) return { type: 'text', text }
  switch (part['type']) {
    case 'input_image':
      return readImage(part, at, refuse)
    case 'input_audio':
      return readAudio(part, at, refuse)
    case 'input_file':
      refuse(at, `'${at}' is a file, and engines read none. Send its text as an 'input_text' part.`)
      return null
    default:
      refuse(
        textTypes.includes(part['type']) ? `${at}.text` : `${at}.type`,
        `'${at}' must be an 'input_text' with its 'text', an 'input_image' or an 'input_audio'; its 'type' is ${told(part['type'])}.`,
      )
      return null
  }
}

function readImage(part: Json, at: string, refuse: Refuse): ContentPart | null {
  const read = fieldReader(part, at, refuse)
  if (isText(part['file_id'])) {
    refuse(
      read.place('file_id'),
      `'${read.place('file_id')}' names an uploaded file, and no files are kept for images here. Send 'image_url': an https: or a data: URL.`,
    )
    return null
  }
  const url = read.text('image_url', 'the URL of the image (https: or data:)')
  const detail = read.optional('detail', isText, "'low', 'high' or 'auto'")
  return { type: 'image_url', image_url: { url, ...(detail === null ? {} : { detail }) } }
}

function readAudio(part: Json, at: string, refuse: Refuse): ContentPart | null {
  const audio = part['input_audio']
  if (!isJson(audio)) {
    refuse(`${at}.input_audio`, `'${at}.input_audio' must be an object with 'data' and 'format'.`)
    return null
  }
  const read = fieldReader(audio, `${at}.input_audio`, refuse)
  return {
    type: 'input_audio',
    input_audio: { data: read.text('data', 'the sound in base64'), format: read.text('format', "'wav' or 'mp3'") },
  }
}

/** A value as it can stand in a message: short, and nobody's prompt. */
export function told(value: unknown): string {
  if (value === undefined) return 'missing'
  return isText(value) ? `'${value.slice(0, 64)}'` : 'not a string'
}
