/** What the fake engine says, deterministic: the same request gets the same words. */
import { createHash } from 'node:crypto'
import type { Behaviour } from './behaviour.ts'
import { toWords } from './request.ts'
import type { Ask, Tool } from './request.ts'

/** What will be said: pieces in order, one a token. */
export type Answer = {
  thought: readonly string[]
  pieces: readonly string[]
  /** The arguments of each call in pieces, one a token. */
  calls: readonly { name: string; pieces: readonly string[] }[]
  finish: 'stop' | 'length' | 'tool_calls'
}

/** A document's place in a ranking. */
export type Ranked = { index: number; score: number; text: string }

const charactersPerPiece = 8
const vectorLength = 8

export function decideAnswer(ask: Ask, behaviour: Behaviour): Answer {
  const called = pickCalled(ask, behaviour)
  const thought = ask.route === 'chat' ? numbered('think', behaviour.reasoning) : []
  if (called.length > 0) {
    const calls = called.map(tool => ({
      name: tool.function.name,
      pieces: toPieces(JSON.stringify(toSample(tool.function.parameters ?? {}))),
    }))
    if (behaviour.toolText === null || ask.forced) return { thought, pieces: [], calls, finish: 'tool_calls' }
    const written = calls.map(call => ({ name: call.name, json: call.pieces.join('') }))
    return { thought, pieces: toPieces(writeCalls(written, behaviour.toolText)), calls: [], finish: 'stop' }
  }
  const pieces = decidePieces(ask, behaviour)
  const allowed = ask.maxTokens ?? Infinity
  // Echoes and documents are told whole: half of one is of no use to a test.
  const isWhole = behaviour.echoMessages || ask.schema !== undefined || scriptedFor(ask, behaviour) !== null
  if (isWhole || thought.length + pieces.length <= allowed) return { thought, pieces, calls: [], finish: 'stop' }
  return {
    thought: thought.slice(0, allowed),
    pieces: pieces.slice(0, Math.max(0, allowed - thought.length)),
    calls: [],
    finish: 'length',
  }
}

/** Numbers in [-1, 1] out of the text's digest; eight, unless the request wants another number of them. */
export function toVector(input: string, ask: Ask, packed: boolean): number[] | string {
  const length = ask.dimensions ?? vectorLength
  const digest = createHash('sha256').update(input).digest()
  const vector = Float32Array.from({ length }, (_, index) => (digest[index % digest.length] ?? 0) / 127.5 - 1)
  return packed ? Buffer.from(vector.buffer).toString('base64') : Array.from(vector)
}

/** Best first: how many of the query's words stand in each document. */
export function rank(ask: Ask): Ranked[] {
  const wanted = new Set(toWords(ask.query.toLowerCase()))
  const ranked = ask.inputs.map((text, index) => {
    const present = new Set(toWords(text.toLowerCase()))
    const shared = [...wanted].filter(word => present.has(word)).length
    return { index, text, score: wanted.size === 0 ? 0 : shared / wanted.size }
  })
  return ranked.toSorted((a, b) => b.score - a.score).slice(0, ask.top ?? ranked.length)
}

/** A number for each word, the same every time. */
export const toTokenId = (word: string): number => createHash('sha256').update(word).digest().readUInt16BE(0)

/** Sound that is the same for the same text: a WAV of a tenth of a second, or bytes under another format's magic. */
export function toSound(input: string, format: string): Buffer {
  const samples = Buffer.alloc(3200)
  const digest = createHash('sha256').update(input).digest()
  for (let at = 0; at < samples.length; at++) samples[at] = digest[at % digest.length] ?? 0
  if (format === 'pcm') return samples
  if (format !== 'wav') return Buffer.concat([Buffer.from(format === 'mp3' ? 'ID3' : format.slice(0, 4)), samples])
  const header = Buffer.alloc(44)
  header.write('RIFF', 0)
  header.writeUInt32LE(36 + samples.length, 4)
  header.write('WAVEfmt ', 8)
  header.writeUInt32LE(16, 16)
  header.writeUInt16LE(1, 20)
  header.writeUInt16LE(1, 22)
  header.writeUInt32LE(16_000, 24)
  header.writeUInt32LE(32_000, 28)
  header.writeUInt16LE(2, 32)
  header.writeUInt16LE(16, 34)
  header.write('data', 36)
  header.writeUInt32LE(samples.length, 40)
  return Buffer.concat([header, samples])
}

function decidePieces(ask: Ask, behaviour: Behaviour): string[] {
  const scripted = scriptedFor(ask, behaviour)
  if (scripted !== null) return toPieces(scripted)
  if (behaviour.echoMessages) return toPieces(JSON.stringify(ask.received))
  if (ask.schema !== undefined) return toPieces(JSON.stringify(toSample(ask.schema)))
  return numbered('word', behaviour.tokens)
}

const scriptedFor = ({ lastPrompt }: Ask, { says }: Behaviour): string | null =>
  says.find(({ when }) => lastPrompt.includes(when))?.text ?? null

function pickCalled(ask: Ask, behaviour: Behaviour): readonly Tool[] {
  if (ask.forced) return [ask.forced]
  if (behaviour.noAutoTools || (ask.answersCalls && !behaviour.callToolsAgain)) return []
  return ask.tools.slice(0, ask.parallel ? behaviour.callTools : Math.min(1, behaviour.callTools))
}

/** Calls as models write them. */
function writeCalls(
  calls: readonly { name: string; json: string }[],
  style: NonNullable<Behaviour['toolText']>,
): string {
  switch (style) {
    case 'hermes':
      return calls
        .map(({ name, json }) => `<tool_call>\n{"name": "${name}", "arguments": ${json}}\n</tool_call>`)
        .join('\n')
    case 'qwen3-coder':
      return calls.map(({ name, json }) => `<tool_call>\n${writeXml(name, json)}\n</tool_call>`).join('\n')
    case 'llama':
      return calls.map(({ name, json }) => `{"name": "${name}", "parameters": ${json}}`).join('; ')
    case 'mistral':
      return `[TOOL_CALLS] [${calls.map(({ name, json }) => `{"name": "${name}", "arguments": ${json}}`).join(', ')}]`
    default:
      return style satisfies never
  }
}

function writeXml(name: string, json: string): string {
  const parameters = Object.entries(toRecord(JSON.parse(json))).map(
    ([key, value]) =>
      `<parameter=${key}>\n${typeof value === 'string' ? value : JSON.stringify(value)}\n</parameter>\n`,
  )
  return `<function=${name}>\n${parameters.join('')}</function>`
}

function numbered(word: string, length: number): string[] {
  return Array.from({ length }, (_, index) => (index === 0 ? `${word}0` : ` ${word}${index}`))
}

/** Cut by code points, so that no piece holds half a character. */
function toPieces(value: string): string[] {
  const characters = Array.from(value)
  const pieces: string[] = []
  for (let at = 0; at < characters.length; at += charactersPerPiece) {
    pieces.push(characters.slice(at, at + charactersPerPiece).join(''))
  }
  return pieces
}

/** A value that a JSON Schema accepts, from its types and required properties alone. */
function toSample(schema: unknown): unknown {
  const { type, enum: choices, properties, required } = toRecord(schema)
  if (Array.isArray(choices)) return choices[0]
  if (type === 'string') return 'word0'
  if (type === 'number' || type === 'integer') return 0
  if (type === 'boolean') return true
  if (type === 'array') return []
  const wanted = Array.isArray(required) ? required.map(String) : []
  return Object.fromEntries(wanted.map(name => [name, toSample(toRecord(properties)[name])]))
}

function toRecord(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : {}
}
