/** Forced tool calls: a grammar that lets only a call through, and the reader of what comes out of it. */
import { literal, oneOf, openRules } from './gbnf.ts'
import { renderCall } from './messages.ts'
import { addSchema, boundsFor } from './schema-grammar.ts'

export type Tool = { name: string; description: string | null; parameters: unknown }

const callHead = (name: string): string => renderCall(name, '').slice(0, -1)

/** One call of one of `tools`, its arguments by the tool's schema. */
export function renderCallGrammar(tools: readonly Tool[], budgetTokens: number): string {
  const rules = openRules()
  const calls = tools.map(tool => {
    const parameters = addSchema(rules, tool.parameters, boundsFor(budgetTokens, tool.parameters))
    return rules.add(`${literal(callHead(tool.name))} ${parameters} "}"`)
  })
  return rules.render(oneOf(calls))
}

/** What the model is told about tools, where its template knows of them. */
export const describeTools = (tools: readonly Tool[]): string =>
  `You may call these functions: ${JSON.stringify(tools.map(tool => ({ ...tool, description: tool.description ?? '' })))}\n` +
  `To call one, answer only with ${renderCall('function name', '{…}')}`

export type CallPiece = { name: string } | { arguments: string }

export type CallReader = {
  /** Text as it comes; answers the call's name once, then its arguments in pieces. */
  push(text: string): CallPiece[]
}

/** Reads a call as the grammar wrote it. The last brace closes the call, so one character is always held back. */
export function openCallReader(tools: readonly Tool[]): CallReader {
  let named = false
  let held = ''
  return {
    push(text) {
      held += text
      const pieces: CallPiece[] = []
      if (!named) {
        const tool = tools.find(one => held.startsWith(callHead(one.name)))
        if (tool === undefined) return pieces
        named = true
        held = held.slice(callHead(tool.name).length)
        pieces.push({ name: tool.name })
      }
      const out = held.slice(0, -1)
      held = held.slice(out.length)
      if (out !== '') pieces.push({ arguments: out })
      return pieces
    },
  }
}
