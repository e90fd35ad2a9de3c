/** What a model thought, as a `reasoning` item carries it. Rules S13 and S27. */
import { isJson, isList, isText, type Json } from './refuse.ts'

/**
 * Clients that keep nothing here send the thought back in this field, unread; older Codex sends back only this one. It is
 * not encrypted: the client was shown the same text in `content`.
 */
const mark = 'holdfast-thought-1:'

export const toEncryptedContent = (thought: string): string => `${mark}${thought}`

/** From the text itself, else from what we put into `encrypted_content`, else from a summary. Others' encryption says nothing here. */
export function readThought(item: Json): string {
  const plain = textsOf(item['content'], '')
  if (plain !== '') return plain
  const encrypted = item['encrypted_content']
  if (isText(encrypted) && encrypted.startsWith(mark)) return encrypted.slice(mark.length)
  return textsOf(item['summary'], '\n\n')
}

function textsOf(parts: unknown, join: string): string {
  if (!isList(parts)) return ''
  return parts.flatMap(part => (isJson(part) && isText(part['text']) ? [part['text']] : [])).join(join)
}
