/** Where a JSON object that comes in pieces ends. */

/** Takes the pieces in order; `true` once the brackets that were opened are closed again. It does not check what is between. */
export function objectEnd(): (json: string) => boolean {
  let depth = 0
  let inText = false
  let isEscaped = false
  let hasEnded = false

  return json => {
    for (const char of json) {
      if (isEscaped) isEscaped = false
      else if (inText && char === '\\') isEscaped = true
      else if (char === '"') inText = !inText
      else if (!inText && (char === '{' || char === '[')) depth++
      else if (!inText && (char === '}' || char === ']')) {
        depth--
        hasEnded ||= depth === 0
      }
    }
    return hasEnded
  }
}
