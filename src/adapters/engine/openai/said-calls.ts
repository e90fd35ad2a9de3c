/** Tool calls out of the text of engines that have no parser for them, or were started without it. */
import type { PlainFields } from '../../../domain/serving/index.ts'
import { openToolText, type OfferedTool, type Said, type ToolText } from '../../../domain/dialect/index.ts'
import { asText, field, isRecord, type Json } from './json.ts'
import { keyMarks, mapChoices, type Mend } from './repair.ts'

/**
 * Stands before `toolCalls()`, which numbers the calls and gives them ids. Without tools that may be called there is
 * nothing to look for: no mend. With `parallel_tool_calls: false` only the first call is told, as engines with parsers do.
 */
export function saidCalls(body: Json): Mend[] {
  const tools = offered(body)
  if (tools.length === 0 || body['tool_choice'] === 'none') return []
  const most = body['parallel_tool_calls'] === false ? 1 : Infinity
  const answers = new Map<unknown, { text: ToolText; taken: number }>()

  function chunkChoice(choice: Json): Json {
    const { index, delta, finish_reason: finish } = choice
    const content = asText(field(delta, 'content'))
    const isOver = typeof finish === 'string'
    if (content === null && !isOver) return choice
    let answer = answers.get(index)
    if (answer === undefined) answers.set(index, (answer = { text: openToolText(tools), taken: 0 }))
    const said = [...(content === null ? [] : answer.text.push(content)), ...(isOver ? answer.text.end() : [])]
    const calls = callsOf(said, most - answer.taken, answer.taken)
    answer.taken += calls.length
    const text = textOf(said)
    if (calls.length === 0 && text === (content ?? '')) return choice
    return { ...choice, delta: withSaid(delta, content === null && text === '' ? null : text, calls) }
  }

  const mend: Mend = {
    marks,
    chunk: chunk => mapChoices(chunk, chunkChoice),
    whole: answer => mapChoices(answer, choice => wholeChoice(choice, tools, most)),
  }
  return [mend]
}

const marks = [...keyMarks('content', '"'), ...keyMarks('finish_reason', '"')]

/** The same for a body that is not parsed. */
export const saidCallsOf = (body: PlainFields): Mend[] =>
  saidCalls({
    tools: body.field('tools'),
    tool_choice: body.field('tool_choice'),
    parallel_tool_calls: body.field('parallel_tool_calls'),
  })

function wholeChoice(choice: Json, tools: readonly OfferedTool[], most: number): Json {
  const { message } = choice
  const content = asText(field(message, 'content'))
  if (content === null) return choice
  const text = openToolText(tools)
  const said = [...text.push(content), ...text.end()]
  const calls = callsOf(said, most, 0)
  if (calls.length === 0) return choice
  const rest = textOf(said)
  return { ...choice, message: { ...withSaid(message, null, calls), content: rest.trim() === '' ? null : rest } }
}

/** Their numbers are apart from those that the engine may give to calls of its own finding. */
function callsOf(said: readonly Said[], most: number, from: number): Json[] {
  return said
    .flatMap(one => ('calls' in one ? one.calls : []))
    .slice(0, most)
    .map((call, at) => ({ index: `said-${from + at}`, type: 'function', function: call }))
}

const textOf = (said: readonly Said[]): string => said.map(one => ('text' in one ? one.text : '')).join('')

function withSaid(delta: unknown, content: string | null, calls: readonly Json[]): Json {
  const { tool_calls: theirs, ...rest } = isRecord(delta) ? delta : {}
  const all = [...(Array.isArray(theirs) ? theirs : []), ...calls]
  return { ...rest, ...(content === null ? {} : { content }), ...(all.length === 0 ? {} : { tool_calls: all }) }
}

function offered(body: Json): OfferedTool[] {
  const tools = body['tools']
  if (!Array.isArray(tools)) return []
  return tools.flatMap((tool: unknown) => {
    const told = field(tool, 'function')
    const name = asText(field(told, 'name'))
    return name === null ? [] : [{ name, parameters: field(told, 'parameters') }]
  })
}
