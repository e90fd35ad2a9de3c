/** What the engine remembers of earlier prompts, so that it can tell how much of a new one it need not read again. */
export type PromptCache = ReturnType<typeof openPromptCache>

const kept = 16

export function openPromptCache() {
  let prompts: (readonly string[])[] = []
  return {
    /** Tokens that an earlier prompt began with too; the last one is always read, as it makes the first token. */
    reuse(words: readonly string[]): number {
      const longest = Math.max(0, ...prompts.map(prompt => sharedStart(prompt, words)))
      prompts = [words, ...prompts].slice(0, kept)
      return Math.max(0, Math.min(longest, words.length - 1))
    },
    forget(): void {
      prompts = []
    },
  }
}

function sharedStart(a: readonly string[], b: readonly string[]): number {
  const end = a.findIndex((word, index) => word !== b[index])
  return end === -1 ? Math.min(a.length, b.length) : end
}
