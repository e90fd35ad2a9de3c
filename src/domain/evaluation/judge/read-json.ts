/** Reads the JSON object that a judge was asked for out of what it said, with the breakage that models usually make. */

/** `null`: there is none, or it can't be mended without guessing. */
export function readJsonObject(said: string): Record<string, unknown> | null {
  const text = withoutThought(said)
  const from = text.indexOf('{')
  if (from < 0) return null
  const whole = balanced(text.slice(from))
  for (const attempt of [whole, mend(whole)]) {
    const value = parse(attempt)
    if (value !== null) return value
  }
  return null
}

/** Thought comes first, and may hold drafts of the verdict. One that never ends is all there is. */
function withoutThought(said: string): string {
  const end = said.lastIndexOf('</think>')
  if (end >= 0) return said.slice(end + '</think>'.length)
  return said.includes('<think>') ? '' : said
}

/** From the first bracket to the one that closes it; what is cut off gets its text and brackets closed. */
function balanced(text: string): string {
  const open: string[] = []
  let inText = false
  let isEscaped = false
  for (const [at, char] of [...text].entries()) {
    if (isEscaped) isEscaped = false
    else if (inText && char === '\\') isEscaped = true
    else if (char === '"') inText = !inText
    else if (!inText && (char === '{' || char === '[')) open.push(char === '{' ? '}' : ']')
    else if (!inText && (char === '}' || char === ']')) {
      open.pop()
      if (open.length === 0) return [...text].slice(0, at + 1).join('')
    }
  }
  return `${text.trimEnd()}${inText ? '"' : ''}${open.toReversed().join('')}`
}

/** Line ends inside texts, typographic and single quotes round names and values, commas before a closing bracket. */
function mend(json: string): string {
  const quoted = json
    .replaceAll(/[“”]/g, '"')
    .replaceAll(/(?<=[{,]\s*)'([A-Za-z_]+)'(?=\s*:)/g, '"$1"')
    .replaceAll(/(?<=:\s*)'([^'"\n]*)'(?=\s*[,}\]])/g, '"$1"')
    .replaceAll(/(?<=[{,]\s*)([A-Za-z_]+)(?=\s*:)/g, '"$1"')
  let inText = false
  let isEscaped = false
  let mended = ''
  for (const char of quoted) {
    if (inText && !isEscaped && (char === '\n' || char === '\t' || char === '\r')) mended += char === '\n' ? '\\n' : ' '
    else mended += char
    if (isEscaped) isEscaped = false
    else if (inText && char === '\\') isEscaped = true
    else if (char === '"') inText = !inText
  }
  return mended.replaceAll(/,(?=\s*[}\]])/g, '').replaceAll(/(?<=:\s*)(True|False|None)\b/g, pythonWord)
}

const pythonWord = (word: string): string => ({ True: 'true', False: 'false' })[word] ?? 'null'

function parse(json: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(json)
    // A record after the check; its fields stay unknown.
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null
  } catch {
    return null
  }
}
