/** Places: how many requests an engine runs at once, as far as its flags say. */
import type { SpecVersion } from '../spec/index.ts'

/** What an embedded engine runs at once when its flags do not say. */
export const embeddedPlaces = 4

/** The flag that says it, as each engine's own command line spells it; several spellings, the first found counts. */
const flagsOf: { readonly [kind in SpecVersion['engine']['kind']]?: readonly string[] } = {
  'vllm': ['max-num-seqs'],
  'sglang': ['max-running-requests'],
  'llama-cpp': ['parallel', 'np'],
  'ollama': ['OLLAMA_NUM_PARALLEL'],
  'tensorrt-llm': ['max_batch_size', 'max-batch-size'],
  'triton': ['max_batch_size', 'max-batch-size'],
  'tgi': ['max-concurrent-requests'],
  'embedded': ['sequences'],
}

/** `null`: nobody says, so it is learned from what the engine tells of its load. */
export function placesOf({ engine }: SpecVersion): number | null {
  for (const flag of flagsOf[engine.kind] ?? []) {
    const value = Number(engine.flags[flag])
    if (Number.isSafeInteger(value) && value > 0) return value
  }
  return engine.kind === 'embedded' ? embeddedPlaces : null
}
