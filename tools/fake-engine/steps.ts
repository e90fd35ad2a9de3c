/** An answer as a stream tells it: what each event adds, in order, with the flaws that were asked for. */
import type { Answer } from './answer.ts'
import type { Behaviour } from './behaviour.ts'
import type { Call, Voice } from './dialects/index.ts'

/** What one event adds. */
export type Step = {
  /** A chat delta; text completions have `text` alone. */
  delta: object
  text: string
  /** Tokens that it took; thought is part of them. */
  tokens: number
  isThought: boolean
}
type CallPiece = { index: number; id?: string; type?: string; function: Record<string, unknown> }
type Quirk = Behaviour['toolQuirk']

/** Chat only: thought, then text, then calls. */
export function toSteps(said: Answer, calls: readonly Call[], { voice, behaviour }: Speaker): Step[] {
  const field = voice.thoughtField(behaviour)
  const thought = field === null ? tagged(said.thought) : said.thought
  const add = (own: object, tokens: number, isThought = false): Step => ({
    delta: { ...voice.everyDelta, ...own },
    text: '',
    tokens,
    isThought,
  })
  return [
    ...thought.map(text => ({ ...add({ [field ?? 'content']: text }, 1, true), text })),
    ...said.pieces.map(text => ({ ...add({ content: text }, 1), text })),
    ...toCallPieces(said, calls, { voice, quirk: behaviour.toolQuirk }).map(({ piece, tokens }) =>
      add({ tool_calls: [withQuirk(piece, behaviour.toolQuirk)] }, tokens),
    ),
  ]
}

export const toTextSteps = (said: Answer): Step[] =>
  said.pieces.map(text => ({ delta: {}, text, tokens: 1, isThought: false }))

export type Speaker = { voice: Voice; behaviour: Behaviour }

/** A whole answer's message, with the flaw that was asked for in each of its calls. */
export function toWholeMessage(said: Answer, calls: readonly Call[], { voice, behaviour }: Speaker): object {
  const field = voice.thoughtField(behaviour)
  const thought = said.thought.join('')
  const content = (field === null ? tagged(said.thought).join('') : '') + said.pieces.join('')
  const message: Record<string, unknown> = { ...voice.message({ content, thought, calls }, field) }
  const told = message['tool_calls']
  if (!Array.isArray(told)) return message
  return { ...message, tool_calls: told.map((call: CallPiece) => withQuirk(call, behaviour.toolQuirk)) }
}

/** Where no parser takes the thought out, the model's own tags stay. */
function tagged(thought: readonly string[]): string[] {
  return thought.map((text, index) => {
    const opened = index === 0 ? `<think>\n${text}` : text
    return index === thought.length - 1 ? `${opened}\n</think>\n\n` : opened
  })
}

type Piece = { piece: CallPiece; tokens: number }

function toCallPieces(said: Answer, calls: readonly Call[], { voice, quirk }: { voice: Voice; quirk: Quirk }): Piece[] {
  const perCall = calls.map((call, index): Piece[] => {
    const pieces = said.calls[index]?.pieces ?? []
    const head = (args: string): CallPiece => ({
      index,
      id: call.id,
      type: 'function',
      function: { name: call.name, arguments: args },
    })
    if (voice.calls === 'whole' || quirk === 'object-arguments')
      return [{ piece: head(call.arguments), tokens: pieces.length }]
    const first = voice.calls === 'head-with-first-piece' ? 1 : 0
    return [
      { piece: head(pieces.slice(0, first).join('')), tokens: first },
      ...pieces.slice(first).map(args => ({ piece: { index, function: { arguments: args } }, tokens: 1 })),
    ]
  })
  return quirk === 'interleaved' ? interleave(perCall) : perCall.flat()
}

function interleave(lists: readonly Piece[][]): Piece[] {
  const longest = Math.max(0, ...lists.map(list => list.length))
  return Array.from({ length: longest }, (_, at) => lists.flatMap(list => list.slice(at, at + 1))).flat()
}

function withQuirk(call: CallPiece, quirk: Quirk): object {
  const { index, id, ...rest } = call
  switch (quirk) {
    case 'no-index':
      return id === undefined ? rest : { id, ...rest }
    case 'no-id':
      return index === undefined ? rest : { index, ...rest }
    case 'same-index':
      return index === undefined ? call : { ...call, index: 0 }
    case 'object-arguments':
      return { ...call, function: { ...call.function, arguments: JSON.parse(String(call.function['arguments'])) } }
    case 'stop-finish':
    case 'interleaved':
    case null:
      return call
    default:
      return quirk satisfies never
  }
}
