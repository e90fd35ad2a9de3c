/**
 * Prefix blocks: a prompt as a chain of hashes, one for each full block of text from its beginning. Two prompts share
 * as many leading blocks as engines could share work: block n's hash covers everything before it.
 */
import { hashPrime, hashSeed, stir } from './hash.ts'

/** About 64 tokens: engines keep blocks of 16 and more, and finer ones would only cost. */
export const blockLength = 256
/** Beyond 64 KiB of text prompts count as the same: that bounds what a prompt costs, whatever its size. */
export const mostBlocks = 256

/** Of what stands for an image or a sound: those that differ, differ at the end or in length. */
const sampleLength = 64
/** Deeper structures are no prompts. */
const deepest = 12

/** The blocks of an engine's request: a conversation's system prompt and tools first, or a completion's prompt. */
export function prefixBlocks(body: Readonly<Record<string, unknown>>): number[] {
  const { messages, prompt, tools } = body
  const chain = openChain()
  if (!Array.isArray(messages)) {
    // Of several prompts the first stands for all: they go to one replica.
    chain.feed(isBatch(prompt) ? prompt[0] : prompt)
    return chain.blocks
  }
  const list: readonly unknown[] = messages
  const turns = list.findIndex(message => !isSystem(message))
  const systems = turns === -1 ? list.length : turns
  for (let i = 0; i < list.length && !chain.isFull(); i++) {
    if (i === systems) chain.feed(tools)
    feedMessage(chain, list[i])
  }
  return chain.blocks
}

type Chain = ReturnType<typeof openChain>

function openChain() {
  const blocks: number[] = []
  let hash = hashSeed
  let filled = 0

  function feedText(text: string): void {
    // A block at a time with the hash in a local: this runs over every prompt, and unit by unit takes three times as long.
    let local = hash
    let i = 0
    while (i < text.length && blocks.length < mostBlocks) {
      const end = Math.min(text.length, i + blockLength - filled)
      filled += end - i
      for (; i < end; i++) local = Math.imul(local ^ text.charCodeAt(i), hashPrime)
      hash = local
      if (filled === blockLength) closeBlock()
    }
  }

  function closeBlock(): void {
    // Signed, which engines of JavaScript keep as plain numbers in arrays and maps.
    blocks.push(stir(hash) | 0)
    filled = 0
  }

  /** Whatever JSON holds, in the order in which it was written. */
  function feed(value: unknown, depth = 0): void {
    if (blocks.length >= mostBlocks || depth > deepest) return
    if (typeof value === 'string') feedText(value)
    else if (typeof value === 'number') feedNumber(value)
    else if (Array.isArray(value)) for (const item of value) feed(item, depth + 1)
    else if (isRecord(value))
      for (const key in value) {
        feedText(key)
        feed(value[key], depth + 1)
      }
  }

  /** Prompts come as tokens too: as much as two characters each. */
  function feedNumber(value: number): void {
    hash = Math.imul(hash ^ value, hashPrime)
    filled = Math.min(blockLength, filled + 2)
    if (filled === blockLength) closeBlock()
  }

  return { blocks, feed, isFull: (): boolean => blocks.length >= mostBlocks }
}

function feedMessage(chain: Chain, message: unknown): void {
  if (!isRecord(message)) return
  // Two that stand on no keyboard keep role and content apart.
  chain.feed(`\u0001${String(message['role'])}\u0002`)
  feedContent(chain, message['content'])
  chain.feed(message['tool_calls'])
}

function feedContent(chain: Chain, content: unknown): void {
  if (!Array.isArray(content)) return chain.feed(content)
  for (const part of content) {
    if (chain.isFull()) return
    if (isRecord(part) && typeof part['text'] === 'string') chain.feed(part['text'])
    else feedSample(chain, part, 0)
  }
}

/** An image must not take the place of all the text after it. */
function feedSample(chain: Chain, value: unknown, depth: number): void {
  if (chain.isFull() || depth > deepest) return
  if (typeof value === 'string') chain.feed(`${value.length}:${value.slice(-sampleLength)}`)
  else if (isRecord(value)) for (const key in value) feedSample(chain, value[key], depth + 1)
}

/** Several prompts, texts or tokens each; tokens alone are one prompt. */
function isBatch(prompt: unknown): prompt is unknown[] {
  return Array.isArray(prompt) && typeof prompt[0] !== 'number'
}

function isSystem(message: unknown): boolean {
  return isRecord(message) && (message['role'] === 'system' || message['role'] === 'developer')
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
