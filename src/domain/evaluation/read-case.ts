/** One case of a golden set, read field by field. */
import type { ChatMessage, Tool } from '../dialect/index.ts'
import type { GoldenCase } from './golden-case.ts'
import { isRecord, type Tell } from './fields.ts'
import { readExpectations } from './read-expectations.ts'

const known = ['id', 'messages', 'expect', 'critical', 'tags', 'tools', 'context', 'repeats']
const roles = ['system', 'developer', 'user', 'assistant', 'tool']
const mostRepeats = 20
const longestId = 200

type CaseReading = { made: GoldenCase | null; id: string | null; problems: readonly string[] }

/** `id` is told even where the rest is wrong, so that doubles are found. */
export function readCase(value: unknown): CaseReading {
  const problems: string[] = []
  const tell: Tell = problem => void problems.push(problem)
  if (!isRecord(value)) return { made: null, id: null, problems: ['a case is an object: {"id": …, "messages": […]}'] }
  for (const name of Object.keys(value).filter(key => !known.includes(key)))
    tell(`unknown key '${name.slice(0, 60)}'; known: ${known.join(', ')}`)
  const id = readId(value['id'], tell)
  const context = readContext(value['context'], tell)
  const messages = readMessages(value['messages'], tell)
  const tools = readTools(value['tools'], tell)
  const expect = readExpectations(value['expect'], tell)
  const critical = readCritical(value['critical'], tell)
  const tags = readTags(value['tags'], tell)
  const repeats = readRepeats(value['repeats'], tell)
  if (expect.toolCall !== undefined && !tools.some(tool => tool.function.name === expect.toolCall?.name))
    tell(`expect.tool_call: tools has no '${expect.toolCall.name}', so the model could not call it`)
  if (critical && Object.keys(expect).length === 0) tell('it is critical, but expects nothing')
  if (problems.length > 0) return { made: null, id, problems }
  const made: GoldenCase = {
    ...{ id: id ?? '', tools, expect, critical, tags, context, repeats },
    messages: messages.map(message => withContext(message, context)),
    cluster: clusterOf({ tags, messages, context }),
  }
  return { made, id, problems }
}

function readId(value: unknown, tell: Tell): string | null {
  if (typeof value === 'string' && value.trim() !== '' && value.length <= longestId) return value
  tell(`id must be text of 1 to ${longestId} characters`)
  return null
}

function readMessages(value: unknown, tell: Tell): ChatMessage[] {
  if (!Array.isArray(value) || value.length === 0) {
    tell('messages must be a list with at least one message')
    return []
  }
  for (const [at, message] of value.entries()) {
    if (!isRecord(message) || !roles.includes(String(message['role']))) {
      tell(`messages[${at}].role must be one of ${roles.join(', ')}`)
      continue
    }
    const { content } = message
    const isCallOnly = message['role'] === 'assistant' && Array.isArray(message['tool_calls'])
    const isText = typeof content === 'string' || (Array.isArray(content) && content.every(isRecord))
    if (!isText && !(isCallOnly && (content === null || content === undefined)))
      tell(`messages[${at}].content must be text, or a list of parts`)
  }
  const last: unknown = value.at(-1)
  if (isRecord(last) && last['role'] === 'assistant')
    tell('the last message must not be the assistant’s: that is what is asked for')
  // Roles and contents were looked at one by one; everything else passes to the engine as it is.
  return value as ChatMessage[]
}

function readTools(value: unknown, tell: Tell): Tool[] {
  if (value === undefined) return []
  const isTool = (tool: unknown): boolean =>
    isRecord(tool) &&
    tool['type'] === 'function' &&
    isRecord(tool['function']) &&
    typeof tool['function']['name'] === 'string'
  if (!Array.isArray(value) || !value.every(isTool)) {
    tell('tools must be a list of {"type": "function", "function": {"name": …}}')
    return []
  }
  // Each has its name; parameters pass to the engine as they are.
  return value as Tool[]
}

function readContext(value: unknown, tell: Tell): string | null {
  if (value === undefined) return null
  if (typeof value === 'string' && value.trim() !== '') return value
  tell('context must be text')
  return null
}

function readCritical(value: unknown, tell: Tell): boolean {
  if (value === undefined || typeof value === 'boolean') return value === true
  tell('critical must be true or false')
  return false
}

function readTags(value: unknown, tell: Tell): string[] {
  if (value === undefined) return []
  if (Array.isArray(value) && value.every(tag => typeof tag === 'string' && tag !== '')) return value.map(String)
  tell('tags must be a list of texts')
  return []
}

function readRepeats(value: unknown, tell: Tell): number | null {
  if (value === undefined) return null
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= mostRepeats) return value
  tell(`repeats must be a whole number from 1 to ${mostRepeats}`)
  return null
}

/** `{{context}}` in a message is the case's context: what the model is given and what it is held to are then one text. */
function withContext(message: ChatMessage, context: string | null): ChatMessage {
  if (context === null || typeof message.content !== 'string') return message
  return { ...message, content: message.content.replaceAll('{{context}}', () => context) }
}

function clusterOf({ tags, messages, context }: Pick<GoldenCase, 'tags' | 'messages' | 'context'>): string {
  const [tag] = tags
  if (tag !== undefined) return `tag ${tag}`
  const firstUser = messages.find(message => message.role === 'user')
  return `conversation ${JSON.stringify([context, firstUser?.content ?? null])}`
}
