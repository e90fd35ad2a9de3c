/** A request of the Responses API, as a chat request. Rules S1–S7; its parts have files of their own. */
import type { Fault } from '../../fault.ts'
import type { ChatMessage, ChatRequest } from '../chat.ts'
import type { PreviousTurns, Translated, TranslationContext } from '../translation.ts'
import { toAnswers } from './answer.ts'
import { callsOf, readInput } from './input.ts'
import { firstRefusal, isJson, isList } from './refuse.ts'
import { readSettings, type Settings } from './settings.ts'
import { readToolChoice, readTools, type Choice, type ToolList } from './tools.ts'

export type ResponsesContext = TranslationContext & {
  /** The conversation up to an answer, by the answer's id; `null`: none that this client may go on from. */
  previous: (id: string) => PreviousTurns | null
}

/** Total: whatever JSON can say is either understood or refused, with the parameter. */
export function fromResponses(body: unknown, context: ResponsesContext): Translated {
  if (!isJson(body)) return refused({ kind: 'request-invalid', param: null, problem: notAnObject })
  const { refuse, first } = firstRefusal()
  const settings = readSettings(body, refuse)
  const tools = readTools([{ tools: body['tools'], at: 'tools' }, ...toolsOfInput(body['input'])], refuse)
  const choice = readToolChoice(body['tool_choice'], tools, refuse)

  const { previousId } = settings
  const earlier = previousId === null ? noTurns : context.previous(previousId)
  if (earlier === null) return refused(first() ?? { kind: 'previous-response-unknown', id: shown(previousId) })
  const before = earlier.messages
  const input = readInput(body['input'], { tools, refuse, before, previous: context.previous })
  const turns = [...before, ...input]
  if (turns.length === 0) refuse('input', "'input' holds no message: there is nothing to answer.")

  const fault = first()
  if (fault !== null) return refused(fault)
  const { asked, store, encryptsThought } = settings
  return {
    ok: true,
    request: toRequest(settings, choice, turns),
    answer: toAnswers({
      head: {
        id: context.id,
        created: context.created,
        asked: { ...asked, tools: tools.offered, tool_choice: body['tool_choice'] ?? 'auto' },
      },
      output: {
        id: context.id,
        tools,
        encryptsThought,
        takenCallIds: new Set(turns.flatMap(message => callsOf(message).map(({ id }) => id))),
      },
      turns: store ? turns : null,
    }),
  }
}

function toRequest({ chat, instructions, parallel }: Settings, choice: Choice, turns: ChatMessage[]): ChatRequest {
  const request: ChatRequest = { ...chat, messages: withOneSystem(instructions, turns) }
  // Engines refuse a choice among no tools.
  if (choice.tools.length === 0) return request
  request.tools = [...choice.tools]
  if (choice.choice !== null) request.tool_choice = choice.choice
  if (parallel !== null) request.parallel_tool_calls = parallel
  return request
}

/** All instructions as one system message in front: many chat templates refuse any other. */
function withOneSystem(instructions: string | null, turns: readonly ChatMessage[]): ChatMessage[] {
  const texts = turns.flatMap(({ role, content }) =>
    role === 'system' && typeof content === 'string' ? [content] : [],
  )
  const system = [instructions ?? '', ...texts].filter(text => text !== '').join('\n\n')
  const others = turns.filter(({ role }) => role !== 'system')
  return system === '' ? others : [{ role: 'system', content: system }, ...others]
}

/** Tools that came in the course of the conversation. */
function toolsOfInput(input: unknown): ToolList[] {
  if (!isList(input)) return []
  return input.flatMap((item, index) =>
    isJson(item) && item['type'] === 'additional_tools' ? [{ tools: item['tools'], at: `input[${index}].tools` }] : [],
  )
}

const notAnObject = 'The request body must be a JSON object.'
const noTurns: PreviousTurns = { messages: [], output: [] }

const shown = (id: string | null): string => (id ?? '').slice(0, 100)

const refused = (fault: Fault): Translated => ({ ok: false, fault })
