/** Discovery: engines that run on this machine already, on their usual ports, and what an address tells of itself. */
import { askEngine, type Engine } from './ask-engine.ts'

export { askEngine } from './ask-engine.ts'

export type FoundEngine = { program: string; kind: Engine['kind']; url: string; models: string[]; notes: string[] }

/** Where programs listen when nobody told them otherwise. Only loopback is asked. */
export const usualPorts: readonly number[] = [
  11_434, // Ollama
  8_000, // vLLM, TensorRT-LLM
  8_080, // llama-server
  9_931, // llama-server
  30_000, // SGLang
  9_000, // Triton
  3_000, // TGI
  1_234, // LM Studio
]

const programs: Record<Engine['kind'], string> = {
  'ollama': 'Ollama',
  'llama-cpp': 'llama-server',
  'vllm': 'vLLM',
  'sglang': 'SGLang',
  'tensorrt-llm': 'TensorRT-LLM',
  'triton': 'Triton',
  'tgi': 'TGI',
  'openai': 'an OpenAI-compatible engine',
}

/** A program on this machine that takes longer is not answering. */
const answerMs = 400

/** Asks all ports at once. `ownPort` is left out. */
export async function findEngines(ports: readonly number[], ownPort: number): Promise<FoundEngine[]> {
  const asked = ports
    .filter(port => port !== ownPort)
    .map(async port => {
      const url = `http://127.0.0.1:${port}/v1`
      const engine = await askEngine(url, null, answerMs).catch(() => null)
      if (engine === null) return []
      const { kind, models, notes } = engine
      return [{ program: programs[kind], kind, url, models: models.map(({ id }) => id), notes }]
    })
  return (await Promise.all(asked)).flat()
}
