/** What inspecting a model finds out: the facts that planning needs, and what a person wants to know besides. */
import type { ModelFacts } from '../model-facts.ts'
import type { ChatTemplate } from './chat-template.ts'
import type { PickleFacts } from './pytorch.ts'

export type ModelReport = ModelFacts & {
  /** Of the format: its version, its container, what wrote it. */
  formatDetail: string
  /** Class that runs it, as config.json names it (`Qwen3ForCausalLM`); GGUF has none. */
  modelClass: string | null
  tokenizer: { kind: string; vocabulary: number | null } | null
  chatTemplate: ChatTemplate | null
  /** As the files name it (`apache-2.0`). */
  licence: string | null
  /** Most bytes first. */
  tensorTypes: { type: string; tensors: number; bytes: number }[]
  /** What loading it would run; `null`: the format holds no code. */
  pickle: PickleFacts | null
  /** What is estimated, left out or odd. */
  notes: string[]
}

/** What every reader of a format finds; the rest may stand in files beside it. */
export const emptyReport: Omit<ModelReport, 'format' | 'formatDetail'> = {
  architecture: null,
  modelClass: null,
  parameters: null,
  layers: null,
  contextLength: null,
  hidden: null,
  vocabulary: null,
  heads: null,
  attention: [],
  experts: null,
  quantisation: null,
  bytes: 0,
  parts: null,
  tokenizer: null,
  chatTemplate: null,
  licence: null,
  tensorTypes: [],
  pickle: null,
  notes: [],
}

/** How much of each type, most bytes first. */
export function tallyTypes(tensors: readonly { type: string; bytes: number }[]): ModelReport['tensorTypes'] {
  const tally = new Map<string, { type: string; tensors: number; bytes: number }>()
  for (const { type, bytes } of tensors) {
    const row = tally.get(type) ?? { type, tensors: 0, bytes: 0 }
    tally.set(type, { type, tensors: row.tensors + 1, bytes: row.bytes + bytes })
  }
  return [...tally.values()].toSorted((a, b) => b.bytes - a.bytes || b.tensors - a.tensors)
}
