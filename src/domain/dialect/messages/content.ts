/** Content blocks as parts of a chat message. Rules M4–M7, M10 and M11. */
import type { ContentPart } from '../chat.ts'
import { listAt, nameAt, optional, recordAt, refuse, textAt, told, unsupported, type Json } from './place.ts'

/** A string, or blocks; each block is what `read` makes of it. */
export function readBlocks<T>(content: unknown, at: string, read: (block: Json, at: string) => readonly T[]): T[] {
  const blocks = typeof content === 'string' ? [{ type: 'text', text: content }] : listAt(content, at)
  return blocks.flatMap((block, index) => {
    // A string has one place: its own.
    const place = typeof content === 'string' ? at : `${at}.${index}`
    return read(recordAt(block, place), place)
  })
}

/** A block that can stand in a user's message: text, and what becomes text or an image. */
export function partsOf(block: Json, at: string): ContentPart[] {
  switch (block['type']) {
    case 'text':
      return [{ type: 'text', text: textAt(block['text'], `${at}.text`) }]
    case 'image':
      return [imageOf(block, at)]
    case 'document':
      return documentOf(block, at)
    case 'search_result':
      return [{ type: 'text', text: searchResultOf(block, at) }]
    default:
      throw unknownBlock(block, at, 'text, image, document, search_result')
  }
}

/** Where only text may stand. */
export function textsOf(block: Json, at: string): string[] {
  if (block['type'] !== 'text') throw unknownBlock(block, at, 'text')
  return [textAt(block['text'], `${at}.text`)]
}

export function unknownBlock(block: Json, at: string, known: string): Error {
  const problem = `'${at}.type' is ${told(block['type'])}; what can stand here: ${known}.`
  return refuse(`${at}.type`, problem)
}

/** Text alone is one string, its blocks a blank line apart: many chat templates take no lists. */
export function toContent(parts: readonly ContentPart[]): string | ContentPart[] {
  const telling = parts.filter(part => part.type !== 'text' || part.text !== '')
  const texts = telling.flatMap(part => (part.type === 'text' ? [part.text] : []))
  return texts.length === telling.length ? joined(texts) : telling
}

/** A blank line between what says something. */
export const joined = (texts: readonly string[]): string => texts.filter(text => text !== '').join('\n\n')

function imageOf(block: Json, at: string): ContentPart {
  const source = recordAt(block['source'], `${at}.source`)
  const place = `${at}.source`
  switch (source['type']) {
    case 'base64': {
      const type = nameAt(source['media_type'], `${place}.media_type`)
      if (!/^image\/[\w.+-]+$/.test(type))
        throw refuse(
          `${place}.media_type`,
          `'${place}.media_type' must be a type of image (image/png); it is ${told(type)}.`,
        )
      return { type: 'image_url', image_url: { url: `data:${type};base64,${nameAt(source['data'], `${place}.data`)}` } }
    }
    case 'url':
      return { type: 'image_url', image_url: { url: nameAt(source['url'], `${place}.url`) } }
    case 'file':
      throw unsupported(
        `An image from a file's id ('${place}')`,
        'Send the image itself, with a source of type base64.',
      )
    default:
      throw refuse(`${place}.type`, `'${place}.type' must be base64 or url; it is ${told(source['type'])}.`)
  }
}

function documentOf(block: Json, at: string): ContentPart[] {
  const place = `${at}.source`
  const source = recordAt(block['source'], place)
  const heading = [
    optional(block['title'], `${at}.title`, textAt) ?? '',
    optional(block['context'], `${at}.context`, textAt) ?? '',
  ]
  switch (source['type']) {
    case 'text':
      return [{ type: 'text', text: joined([...heading, textAt(source['data'], `${place}.data`)]) }]
    case 'content': {
      const parts = readBlocks(source['content'], `${place}.content`, partsOfSource)
      const head = joined(heading)
      return head === '' ? parts : [{ type: 'text', text: head }, ...parts]
    }
    case 'base64':
    case 'url':
    case 'file':
      throw unsupported(
        `A document from ${typeof source['media_type'] === 'string' ? told(source['media_type']) : `a source of type ${source['type']}`} ('${place}')`,
        'Engines read text and images: send its text (a source of type text), or its pages as images.',
      )
    default:
      throw refuse(`${place}.type`, `'${place}.type' must be text or content; it is ${told(source['type'])}.`)
  }
}

/** A document holds no documents. */
function partsOfSource(block: Json, at: string): ContentPart[] {
  if (block['type'] === 'text' || block['type'] === 'image') return partsOf(block, at)
  throw unknownBlock(block, at, 'text, image')
}

function searchResultOf(block: Json, at: string): string {
  const texts = readBlocks(block['content'], `${at}.content`, textsOf)
  return joined([textAt(block['title'], `${at}.title`), textAt(block['source'], `${at}.source`), ...texts])
}

/** What a tool gave back, as text: an image has its place in it and goes beside it. */
export function readToolResult(block: Json, at: string): { id: string; text: string; images: ContentPart[] } {
  const id = nameAt(block['tool_use_id'], `${at}.tool_use_id`)
  const parts = block['content'] === undefined || block['content'] === null ? [] : resultParts(block['content'], at)
  const images = parts.filter(part => part.type === 'image_url')
  const text = joined(parts.map(part => (part.type === 'text' ? part.text : imageNote)))
  return { id, text: block['is_error'] === true ? `Error: ${text}` : text, images }
}

const imageNote = '[image: shown after the results of the tools]'

function resultParts(content: unknown, at: string): ContentPart[] {
  return readBlocks(content, `${at}.content`, (block, place) =>
    block['type'] === 'tool_reference'
      ? [{ type: 'text', text: `Tool found: ${nameAt(block['tool_name'], `${place}.tool_name`)}` }]
      : partsOf(block, place),
  )
}

/** Whether a block says nothing that an engine could use. */
export const saysNothing = (block: Json): boolean =>
  block['type'] === 'redacted_thinking' || block['type'] === 'fallback'
