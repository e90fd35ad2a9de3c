/** Which engines the fake can be. */
import type { EngineKind } from '../behaviour.ts'
import type { Dialect } from './dialect.ts'
import { llamaCpp } from './llama-cpp.ts'
import { ollama } from './ollama.ts'
import { openai } from './openai.ts'
import { sglang } from './sglang.ts'
import { tensorrtLlm } from './tensorrt-llm.ts'
import { tgi } from './tgi.ts'
import { triton } from './triton.ts'
import { vllm } from './vllm.ts'

const dialects: { readonly [K in EngineKind]: Dialect } = {
  'vllm': vllm,
  'llama-cpp': llamaCpp,
  'ollama': ollama,
  'sglang': sglang,
  'tensorrt-llm': tensorrtLlm,
  'triton': triton,
  'tgi': tgi,
  'openai': openai,
}

export type { Call, ChoiceEnd, Dialect, Head, Reply, Tally, Voice } from './dialect.ts'
export { renderInfillEnd, renderInfillPiece } from './llama-infill.ts'

export const speak = (kind: EngineKind): Dialect => dialects[kind]
