/** LiteLLM's providers: which of them are engines of one's own, and how Holdfast speaks to those. */
import type { EngineKind } from '../serving/index.ts'

/** `path`: what the address gets when it has none. `usual`: where LiteLLM looks when no address is given. */
export type Provider = { kind: EngineKind; path: string; usual: string | null }

const compatible: Provider = { kind: 'openai', path: '/v1', usual: null }
const vllm: Provider = { kind: 'vllm', path: '/v1', usual: null }
const ollama: Provider = { kind: 'ollama', path: '/v1', usual: 'http://localhost:11434' }

const own: ReadonlyMap<string, Provider> = new Map([
  ['openai', compatible],
  ['text-completion-openai', compatible],
  ['custom_openai', compatible],
  ['openai_like', compatible],
  ['litellm_proxy', compatible],
  ['lm_studio', compatible],
  ['llamafile', { ...compatible, usual: 'http://127.0.0.1:8080' }],
  ['xinference', compatible],
  ['docker_model_runner', compatible],
  ['lemonade', compatible],
  ['nvidia_nim', compatible],
  ['hosted_vllm', vllm],
  ['vllm', vllm],
  ['ollama', ollama],
  ['ollama_chat', ollama],
  ['huggingface', { kind: 'tgi', path: '/v1', usual: null }],
])

/** Providers whose names stand before the slash. Any other word there is part of a model's own name. */
const elsewhere = new Set([
  'ai21',
  'anthropic',
  'azure',
  'azure_ai',
  'bedrock',
  'cerebras',
  'cloudflare',
  'codestral',
  'cohere',
  'cohere_chat',
  'dashscope',
  'databricks',
  'deepinfra',
  'deepseek',
  'fireworks_ai',
  'gemini',
  'github',
  'github_copilot',
  'groq',
  'infinity',
  'jina_ai',
  'mistral',
  'moonshot',
  'novita',
  'openrouter',
  'perplexity',
  'replicate',
  'sagemaker',
  'sagemaker_chat',
  'sambanova',
  'snowflake',
  'together_ai',
  'triton',
  'vertex_ai',
  'vertex_ai_beta',
  'voyage',
  'watsonx',
  'xai',
])

/** `provider/model` apart; a name without a provider that LiteLLM knows is asked of OpenAI's API. */
export function splitModel(text: string, providerKey: string | null): { provider: string; served: string } {
  const slash = text.indexOf('/')
  const first = slash < 0 ? '' : text.slice(0, slash)
  const named = own.has(first) || elsewhere.has(first)
  const served = named ? text.slice(slash + 1) : text
  return { provider: providerKey ?? (named ? first : 'openai'), served }
}

/** `null`: not an engine that Holdfast could be in front of. */
export const ownProvider = (provider: string): Provider | null => own.get(provider) ?? null
