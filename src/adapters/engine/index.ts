/** Engines: the dialects Holdfast speaks and the wire they are spoken over. */
import type { EngineKind } from '../../domain/serving/index.ts'
import type { EngineDialect } from '../../services/serve/index.ts'
import { embedded } from './embedded/index.ts'
import { llamaCpp } from './llama-cpp/index.ts'
import { ollama } from './ollama/index.ts'
import { openai } from './openai/index.ts'
import { sglang } from './sglang/index.ts'
import { tensorrtLlm } from './tensorrt-llm/index.ts'
import { tgi } from './tgi/index.ts'
import { triton } from './triton/index.ts'
import { vllm } from './vllm/index.ts'

export { openWire } from './wire.ts'

const dialects: { readonly [K in EngineKind]: EngineDialect } = {
  vllm,
  'llama-cpp': llamaCpp,
  ollama,
  sglang,
  'tensorrt-llm': tensorrtLlm,
  triton,
  tgi,
  openai,
  embedded,
}

export const dialectOf = (kind: EngineKind): EngineDialect => dialects[kind]
