/** Chat templates: what a Jinja template can say to its model, read from its text; nothing of it is run. */

export type ChatTemplate = {
  /** Shows the model the tools of a request. */
  tools: boolean
  /** Takes a system message as one; else Holdfast puts it in front of the first user turn. */
  system: boolean
  /** Has words for thinking: a switch, or a place of its own. */
  thinking: boolean
  /** Names, where a model brings several (`default`, `tool_use`). */
  names: string[]
  characters: number
}

/** The longest real ones have some thirty thousand. */
const mostCharacters = 262_144

/** `sources`: by name; the one called `default`, or the first, is the one that is used. `null`: there is none. */
export function readChatTemplate(sources: ReadonlyMap<string, string>): ChatTemplate | null {
  const source = sources.get('default') ?? [...sources.values()][0]
  if (source === undefined || source.trim() === '') return null
  const all = [...sources.values()].map(each => each.slice(0, mostCharacters)).join('\n')
  return {
    tools: [...sources.values()].some(doesTools),
    system: doesSystem(source),
    thinking: /enable_thinking|<\|?\/?think|reasoning_content|thinking|\[THINK\]|<\|channel\|>/i.test(all),
    names: [...sources.keys()],
    characters: source.length,
  }
}

/** In a statement or an expression: in a comment or in plain text it would do nothing. */
const doesTools = (source: string): boolean =>
  codeIn(source).some(code => /\b(tools|builtin_tools|custom_tools)\b/.test(code))

/** It names the role, or writes out whatever role there is (ChatML). Some refuse it with an exception of their own. */
function doesSystem(source: string): boolean {
  const code = codeIn(source)
  // Bounded, so that a forged template can't keep the search busy.
  if (code.some(each => /raise_exception\(\s{0,9}['"][^'"]{0,80}system[^'"]{0,80}not support/i.test(each))) return false
  return code.some(
    each =>
      /['"]system['"]/.test(each) || (each.startsWith('{{') && /\.role\b|\[\s{0,9}['"]role['"]\s{0,9}\]/.test(each)),
  )
}

function codeIn(source: string): string[] {
  const text = source.slice(0, mostCharacters)
  const found: string[] = []
  for (let at = text.indexOf('{'); at >= 0; at = text.indexOf('{', at + 1)) {
    const close = { '%': '%}', '{': '}}', '#': '#}' }[text[at + 1] ?? '']
    if (close === undefined) continue
    const end = text.indexOf(close, at + 2)
    if (end < 0) break
    if (close !== '#}') found.push(text.slice(at, end + 2))
    at = end + 1
  }
  return found
}
