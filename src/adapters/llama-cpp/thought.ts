/** Thought and answer told apart, as models write them: `<think>…</think>` in front of the answer. */

export type Thought = { thought: string } | { text: string }

export type ThoughtReader = {
  /** Text as it comes; a part of a tag is held back until it is known. */
  push(text: string): Thought[]
  /** What was held back, once the answer is over. */
  end(): Thought[]
}

const open = '<think>'
const close = '</think>'

/** `isOpen`: the prompt has begun the thought. Blanks around the tags are nobody's. */
export function openThoughtReader(isOpen: boolean): ThoughtReader {
  let state: 'start' | 'thought' | 'after' | 'text' = isOpen ? 'thought' : 'start'
  let held = ''
  let hasThought = false

  function read(isOver: boolean): Thought[] {
    if (state === 'start') {
      const begun = held.trimStart()
      if (!isOver && open.startsWith(begun.slice(0, open.length)) && begun.length < open.length) return []
      if (!begun.startsWith(open)) {
        state = 'text'
        return read(isOver)
      }
      held = begun.slice(open.length)
      state = 'thought'
    }
    if (state === 'thought') return readThought(isOver)
    if (state === 'after') {
      held = held.trimStart()
      if (held === '') return []
      state = 'text'
    }
    const text = held
    held = ''
    return text === '' ? [] : [{ text }]
  }

  function readThought(isOver: boolean): Thought[] {
    if (!hasThought) held = held.trimStart()
    const end = held.indexOf(close)
    // Blanks may be those in front of the tag.
    const sure = end === -1 ? held.length - (isOver ? 0 : openEnd(held)) : end
    const thought = isOver && end === -1 ? held : held.slice(0, sure).trimEnd()
    held = end === -1 ? held.slice(thought.length) : held.slice(end + close.length)
    hasThought ||= thought !== ''
    const told = thought === '' ? [] : [{ thought }]
    if (end === -1) return told
    state = 'after'
    return [...told, ...read(isOver)]
  }

  return {
    push(text) {
      held += text
      return read(false)
    },
    end: () => read(true),
  }
}

function openEnd(text: string): number {
  for (let length = Math.min(close.length - 1, text.length); length > 0; length--)
    if (text.endsWith(close.slice(0, length))) return length
  return 0
}
