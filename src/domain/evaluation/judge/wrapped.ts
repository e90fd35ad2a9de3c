/** Other people's text inside a judge's prompt: bounded, without control tokens, between marks that it can't know. */

/** Characters of one text that a judge reads; both answers of a pair get the same. */
const longestText = 24_000

/**
 * What engines take for the end of a turn or the start of another, in the spellings of ChatML, Llama, Mistral, Gemma,
 * DeepSeek and sentencepiece. Replaced by a visible mark, not by nothing: what is left must not grow together to another one.
 */
const controlTokens =
  /<[|｜][^<>|｜\n]{1,64}[|｜]>|<\/?s>|<<\/?SYS>>|\[\/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_RESULTS|TOOL_CALLS)\]|<\/?(?:start|end)_of_turn>|<\/?(?:bos|eos|pad|unk)>|<\/?think>/gi
/** Invisible characters that tell the model what the reader does not see. Lines, tabs and the joiners that words are spelt with stay. */
const invisible = /[^\P{C}\n\t\u200c\u200d]/gu

export function withoutControlTokens(text: string): string {
  return text.replaceAll(invisible, '').replaceAll(controlTokens, '▯')
}

/** `nonce`: unpredictable, new for each prompt; a text that holds it loses it. */
export function wrap(name: string, text: string, nonce: string): string {
  const inside = cut(withoutControlTokens(text)).replaceAll(nonce, '▯')
  return `<<${nonce} ${name}>>\n${inside}\n<<${nonce} end of ${name}>>`
}

function cut(text: string): string {
  if (text.length <= longestText) return text
  const half = longestText / 2
  return `${text.slice(0, half)}\n[… ${text.length - longestText} characters left out …]\n${text.slice(-half)}`
}
