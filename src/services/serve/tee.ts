/** Tee: the text of an answer as it passes, for the few requests whose answer is compared with another. It never throws. */

export type Tee = {
  /** Whole events of a stream, unparsed. */
  events(events: Buffer): void
  /** A chunk of a stream. */
  chunk(chunk: unknown): void
  /** A whole answer. */
  whole(answer: unknown): void
  /** `null`: too long, or not of text alone. */
  text(): string | null
}

/** Keeps up to so many characters. */
export function openTee(most: number): Tee {
  let text = ''
  let isWhole = true

  function take(part: unknown): void {
    if (!isWhole || typeof part !== 'object' || part === null) return
    if ('tool_calls' in part && Array.isArray(part.tool_calls) && part.tool_calls.length > 0) drop()
    if (!('content' in part) || typeof part.content !== 'string') return
    if (text.length + part.content.length > most) drop()
    else text += part.content
  }

  function drop(): void {
    isWhole = false
    text = ''
  }

  function chunk(parsed: unknown): void {
    for (const choice of choicesOf(parsed)) if ('delta' in choice) take(choice.delta)
  }

  return {
    events(events) {
      if (!isWhole) return
      for (const line of events.toString('utf8').split('\n')) if (line.startsWith('data:')) chunk(parse(line.slice(5)))
    },
    chunk,
    whole(answer) {
      for (const choice of choicesOf(answer)) if ('message' in choice) take(choice.message)
    },
    text: () => (isWhole ? text : null),
  }
}

function choicesOf(parsed: unknown): object[] {
  if (typeof parsed !== 'object' || parsed === null || !('choices' in parsed) || !Array.isArray(parsed.choices))
    return []
  return parsed.choices.filter((choice: unknown) => typeof choice === 'object' && choice !== null)
}

function parse(data: string): unknown {
  try {
    return JSON.parse(data)
  } catch {
    return null
  }
}
