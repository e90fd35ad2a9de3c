/**
 * Tools of a request, as engines know them (functions), and back: which call of the engine's is which tool of the client's.
 * Rules S16–S19.
 */
import type { Tool, ToolChoice } from '../chat.ts'
import { told } from './content.ts'
import { customParameters } from './custom-input.ts'
import { fieldReader, isFlag, isJson, isList, isText, type Json, type Refuse } from './refuse.ts'

/** A tool as the client named it. */
export type NamedTool = { kind: 'function' | 'custom'; name: string; namespace: string | null }

export type Toolset = {
  /** What the model is offered. */
  chat: readonly Tool[]
  /** What the client sent for it. Built-in tools are missing: no engine has them. */
  offered: readonly Json[]
  /** The tool behind a name the model used; a name it made up is a function's. */
  behind: (chatName: string) => NamedTool
  /** The name that the model knows a tool by. */
  chatName: (tool: NamedTool) => string
}

/** A list of tools and where it stands: `tools`, or an `additional_tools` item of the input. */
export type ToolList = { tools: unknown; at: string }

type Offered = { tool: NamedTool; chat: Tool; sent: Json }

export function readTools(lists: readonly ToolList[], refuse: Refuse): Toolset {
  const offered: Offered[] = []
  const taken = new Map<string, NamedTool>()
  const names = new Map<string, string>()
  /** Tools of namespaces, for those that are told without theirs. */
  const bare = new Map<string, string>()
  for (const { tools, at } of lists) readList(tools, at)
  return {
    chat: offered.map(({ chat }) => chat),
    offered: [...new Set(offered.map(({ sent }) => sent))],
    behind: chatName => taken.get(chatName) ?? { kind: 'function', name: chatName, namespace: null },
    chatName: tool => names.get(keyOf(tool)) ?? bare.get(keyOf(tool)) ?? flatName(tool),
  }

  function readList(tools: unknown, at: string): void {
    if (tools === undefined || tools === null) return
    if (!isList(tools)) return refuse(at, `'${at}' must be an array of tools.`)
    for (const [index, tool] of tools.entries()) readTool(tool, `${at}[${index}]`)
  }

  function readTool(tool: unknown, at: string): void {
    if (!isJson(tool) || !isText(tool['type'])) return refuse(at, `'${at}' must be a tool, an object with a 'type'.`)
    const inside = tool['tools']
    if (tool['type'] !== 'namespace') return offer({ tool, at, namespace: null, sent: tool })
    const namespace = fieldReader(tool, at, refuse).text('name', 'the name of the namespace')
    if (!isList(inside)) return refuse(`${at}.tools`, `'${at}.tools' must be an array of tools.`)
    for (const [index, one] of inside.entries()) {
      const place = `${at}.tools[${index}]`
      if (isJson(one)) offer({ tool: one, at: place, namespace, sent: tool })
      else refuse(place, `'${place}' must be a tool, an object with a 'type'.`)
    }
  }

  function offer({
    tool,
    at,
    namespace,
    sent,
  }: {
    tool: Json
    at: string
    namespace: string | null
    sent: Json
  }): void {
    const kind = tool['type']
    if (kind !== 'function' && kind !== 'custom') return
    const read = fieldReader(tool, at, refuse)
    const named = { kind, namespace, name: read.text('name', "the tool's name, beside its 'type'") } as const
    const chatName = freeName(flatName(named), taken)
    taken.set(chatName, named)
    if (!names.has(keyOf(named))) names.set(keyOf(named), chatName)
    bare.set(keyOf({ ...named, namespace: null }), chatName)
    const description = read.optional('description', isText, 'a string')
    offered.push({ tool: named, chat: { type: 'function', function: { name: chatName, ...about() } }, sent })

    function about(): Omit<Tool['function'], 'name'> {
      if (kind === 'custom')
        return { description: `${description ?? ''}${grammarOf(tool)}`, parameters: customParameters }
      const strict = read.optional('strict', isFlag, 'true or false')
      return {
        ...(description === null ? {} : { description }),
        parameters: read.optional('parameters', isJson, 'a JSON schema, an object') ?? {
          type: 'object',
          properties: {},
        },
        ...(strict === null ? {} : { strict }),
      }
    }
  }
}

/** `tool_choice` as engines know it; `tools`: those that are left to choose from. `null`: the client said nothing. */
export type Choice = { choice: ToolChoice | null; tools: readonly Tool[] }

export function readToolChoice(value: unknown, { chat, chatName }: Toolset, refuse: Refuse): Choice {
  const at = 'tool_choice'
  const known = new Set(chat.map(({ function: { name } }) => name))
  if (value === undefined || value === null) return { choice: null, tools: chat }
  if (value === 'auto' || value === 'none') return { choice: value, tools: chat }
  if (value === 'required') return required(chat)
  if (!isJson(value)) {
    refuse(at, `'${at}' must be 'auto', 'none', 'required', or an object that names a tool.`)
    return { choice: null, tools: chat }
  }
  if (value['type'] === 'allowed_tools') return readAllowed(value)
  const name = find(value)
  if (name === null) {
    refuse(at, isBuiltIn(value) ? builtInRefusal(value) : `'${at}' names no tool of 'tools': ${nameOf(value)}.`)
    return { choice: null, tools: chat }
  }
  return { choice: { type: 'function', function: { name } }, tools: chat }

  function readAllowed({ mode, tools }: Json): Choice {
    if (mode !== 'auto' && mode !== 'required') refuse(`${at}.mode`, `'${at}.mode' must be 'auto' or 'required'.`)
    if (!isList(tools)) {
      refuse(`${at}.tools`, `'${at}.tools' must be an array of tools.`)
      return { choice: null, tools: chat }
    }
    const allowed = new Set<string>()
    for (const [index, tool] of tools.entries()) {
      const name = isJson(tool) ? find(tool) : null
      if (name !== null) allowed.add(name)
      else if (!isJson(tool) || !isBuiltIn(tool)) {
        const place = `${at}.tools[${index}]`
        refuse(place, `'${place}' names no tool of 'tools'${isJson(tool) ? `: ${nameOf(tool)}` : ''}.`)
      }
    }
    const left = chat.filter(({ function: { name } }) => allowed.has(name))
    return mode === 'required' ? required(left) : { choice: 'auto', tools: left }
  }

  function required(tools: readonly Tool[]): Choice {
    if (tools.length === 0)
      refuse(at, `'${at}' requires a call, and no tool is left that the model could call. ${onlyOwnTools}`)
    return { choice: 'required', tools }
  }

  /** The model's name for the tool that is meant. */
  function find({ type, name, namespace }: Json): string | null {
    if ((type !== 'function' && type !== 'custom') || !isText(name)) return null
    const exact = chatName({ kind: type, name, namespace: isText(namespace) ? namespace : null })
    return known.has(exact) ? exact : null
  }
}

const onlyOwnTools = "Built-in tools run in their vendor's cloud or client; tools of type 'function' and 'custom' work."

const builtInRefusal = (tool: Json): string =>
  `'tool_choice' forces the built-in tool ${told(tool['type'])}, which no engine has. ${onlyOwnTools}`

const isBuiltIn = ({ type }: Json): boolean => isText(type) && type !== 'function' && type !== 'custom'

const nameOf = ({ name, type }: Json): string => told(name ?? type)

const keyOf = ({ kind, namespace, name }: NamedTool): string => JSON.stringify([kind, namespace, name])

/** Engines know no namespaces. */
const flatName = ({ namespace, name }: NamedTool): string => (namespace === null ? name : `${namespace}__${name}`)

/** The longest name of a function that engines take. */
const longest = 64

/** Two tools may not share a name, and a namespace may make it too long: then it ends in a number. */
function freeName(name: string, taken: ReadonlyMap<string, unknown>): string {
  if (name.length <= longest && !taken.has(name)) return name
  // From a number that is likely to be free: a body may hold very many names alike.
  for (let count = taken.size + 1; ; count++) {
    const suffix = `_${count}`
    const tried = `${name.slice(0, longest - suffix.length)}${suffix}`
    if (!taken.has(tried)) return tried
  }
}

/** No engine holds the model to a grammar of the Responses API: it is asked to keep to it. */
function grammarOf(tool: Json): string {
  const format = tool['format']
  if (!isJson(format) || format['type'] !== 'grammar' || !isText(format['definition'])) return ''
  const syntax = isText(format['syntax']) ? format['syntax'] : 'formal'
  return `\n\nThe input must follow this ${syntax} grammar:\n${format['definition']}`
}
