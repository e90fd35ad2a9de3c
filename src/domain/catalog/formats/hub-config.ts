/** config.json, as Hugging Face's transformers keeps it: the shape of a model under the many names it goes by. */
import type { ModelReport } from './report.ts'
import { countIn, isRecord, textIn } from './text.ts'

/** One part of a config, read by name. */
export type Settings = {
  text(...names: string[]): string | null
  /** The first of these that is a whole number. */
  count(...names: string[]): number | null
  flag(name: string): boolean | null
  list(...names: string[]): unknown[] | null
  inner(...names: string[]): Settings | null
  raw: Record<string, unknown>
}

export function openSettings(raw: Record<string, unknown>): Settings {
  const first = <T>(names: readonly string[], read: (value: unknown) => T | null): T | null => {
    for (const name of names) {
      const value = read(raw[name])
      if (value !== null) return value
    }
    return null
  }
  return {
    raw,
    text: (...names) => first(names, textIn),
    count: (...names) => first(names, countIn),
    flag: name => (typeof raw[name] === 'boolean' ? raw[name] : null),
    list: (...names) => first(names, value => (Array.isArray(value) ? value : null)),
    inner: (...names) => first(names, value => (isRecord(value) ? openSettings(value) : null)),
  }
}

/** The part about language, in models that also see or hear. */
export function languageOf(config: Settings): Settings {
  const inner = config.inner('text_config', 'llm_config', 'language_config', 'thinker_config', 'llm_cfg')
  return inner === null ? config : languageOf(inner)
}

/** Above any that exists; what is repeated per layer stays bounded. */
const mostLayers = 10_000

export type ModelShape = Pick<
  ModelReport,
  'architecture' | 'modelClass' | 'layers' | 'contextLength' | 'hidden' | 'vocabulary' | 'heads' | 'experts'
>

export function shapeOf(config: Settings): ModelShape {
  const language = languageOf(config)
  const classes = config.list('architectures') ?? []
  const layers = language.count(
    'num_hidden_layers',
    'n_layer',
    'n_layers',
    'num_layers',
    'num_decoder_layers',
    'decoder_layers',
  )
  return {
    architecture: config.text('model_type') ?? language.text('model_type'),
    modelClass: textIn(classes[0]),
    layers: layers === null || layers > mostLayers ? null : layers,
    contextLength: language.count(
      'max_position_embeddings',
      'n_positions',
      'max_seq_len',
      'max_sequence_length',
      'seq_length',
      'n_ctx',
      'model_max_length',
    ),
    hidden: language.count('hidden_size', 'n_embd', 'd_model', 'dim', 'model_dim'),
    vocabulary: language.count('vocab_size', 'padded_vocab_size') ?? config.count('vocab_size'),
    heads: headsOf(language),
    experts: expertsOf(language),
  }
}

export const headsOf = (language: Settings): number | null =>
  language.count('num_attention_heads', 'n_head', 'n_heads', 'num_heads', 'decoder_attention_heads')

function expertsOf(language: Settings): ModelReport['experts'] {
  // DBRX keeps them apart.
  const part = language.inner('ffn_config') ?? language
  const count =
    part.count('num_experts', 'n_routed_experts', 'num_local_experts', 'moe_num_experts', 'num_routed_experts') ?? 0
  if (count <= 1) return null
  const used = part.count(
    'num_experts_per_tok',
    'num_experts_per_token',
    'experts_per_token',
    'moe_topk',
    'moe_top_k',
    'top_k_experts',
    'moe_k',
  )
  const shared = part.count('n_shared_experts', 'num_shared_experts', 'num_shared_expert')
  const hasShared = (part.count('shared_expert_intermediate_size', 'shared_intermediate_size') ?? 0) > 0
  return { count, used: Math.min(count, used ?? count), shared: shared ?? (hasShared ? 1 : 0) }
}
