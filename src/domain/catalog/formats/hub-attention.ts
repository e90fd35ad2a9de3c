/** From config.json to what each layer keeps. `layer_types` where there is one; else what transformers does for that model. */
import { bothInOne, keepsNothing, slides, stateOf, type LayerAttention } from './attention.ts'
import { headsOf, type Settings } from './hub-config.ts'
import { countIn, textIn } from './text.ts'

/** Models of which, without `layer_types`, all but the last of so many layers slide. transformers, modeling_*.py, read 2026-08. */
const periods = new Map<string, { period: number; window: number }>([
  ['gemma2', { period: 2, window: 4096 }],
  ['gemma3', { period: 6, window: 1024 }],
  ['gemma3_text', { period: 6, window: 1024 }],
  ['gemma3n', { period: 5, window: 512 }],
  ['gemma3n_text', { period: 5, window: 512 }],
  ['gpt_oss', { period: 2, window: 128 }],
  ['cohere2', { period: 4, window: 4096 }],
  ['llama4', { period: 4, window: 8192 }],
  ['llama4_text', { period: 4, window: 8192 }],
  ['exaone4', { period: 4, window: 4096 }],
])

/** Models whose window, when they have one, is that of all layers. */
const slideEverywhere = new Set(['mistral', 'mixtral', 'ministral', 'phi3', 'phimoe', 'starcoder2'])

/** Empty: the config does not tell. What is left out is told in `notes`. */
export function hubAttention(
  language: Settings,
  { layers, notes }: { layers: number; notes: string[] },
): LayerAttention[] {
  const keep = keepers(language)
  const shared = language.count('num_kv_shared_layers') ?? 0
  if (language.text('model_type') === 'falcon_h1') notes.push(bothInOne)
  const kinds = kindsOf(language, { layers, notes })
  if (kinds.includes('attention') || kinds.includes('sliding'))
    if (keep.full === null) {
      notes.push(
        'config.json does not tell how many heads there are, or how long: what a token takes in the KV cache is not known.',
      )
      return []
    }
  return kinds.map((kind, i): LayerAttention => {
    if (kind === 'none' || (kind !== 'state' && i >= layers - shared)) return keepsNothing
    if (kind === 'state') return keep.state
    if (kind === 'sliding' && keep.full?.kind === 'full') return { ...keep.full, kind: 'sliding', window: keep.window }
    return keep.full ?? keepsNothing
  })
}

type Kind = 'attention' | 'sliding' | 'state' | 'none'

function keepers(language: Settings): { full: LayerAttention | null; state: LayerAttention; window: number } {
  const known = periods.get(language.text('model_type') ?? '')
  return {
    full: latentOf(language) ?? headed(language),
    state: stateLayer(language),
    window: windowOf(language) ?? known?.window ?? 0,
  }
}

function headed(language: Settings): LayerAttention | null {
  const heads = headsOf(language)
  // DBRX and MPT keep them apart.
  const apart = language.inner('attn_config')
  const kvHeads = kvHeadsOf(language) ?? apart?.count('kv_n_heads') ?? heads
  const hidden = language.count('hidden_size', 'n_embd', 'd_model', 'dim', 'model_dim')
  const derived = heads !== null && heads > 0 && hidden !== null ? hidden / heads : null
  const keyLength = language.count('head_dim', 'kv_channels', 'attention_head_dim', 'd_kv') ?? derived
  if (kvHeads === null || keyLength === null) return null
  return { kind: 'full', kvHeads, keyLength, valueLength: language.count('v_head_dim') ?? keyLength, window: 0 }
}

function kvHeadsOf(language: Settings): number | null {
  const said = language.count(
    'num_key_value_heads',
    'n_head_kv',
    'num_kv_heads',
    'n_kv_heads',
    'multi_query_group_num',
    'num_query_groups',
  )
  if (said !== null) return said
  return language.flag('multi_query') === true && language.flag('new_decoder_architecture') !== true ? 1 : null
}

function latentOf(language: Settings): LayerAttention | null {
  const rank = language.count('kv_lora_rank')
  return rank === null || rank === 0 ? null : { kind: 'latent', rank, rotary: language.count('qk_rope_head_dim') ?? 0 }
}

function windowOf(language: Settings): number | null {
  if (language.flag('use_sliding_window') === false) return null
  const window = language.count('sliding_window', 'attention_chunk_size', 'sliding_window_size')
  return window === 0 ? null : window
}

const named = new Map<string, Kind>([
  ['full_attention', 'attention'],
  ['attention', 'attention'],
  ['full', 'attention'],
  ['hybrid', 'attention'],
  ['sliding_attention', 'sliding'],
  ['sliding', 'sliding'],
  ['chunked_attention', 'sliding'],
  ['linear_attention', 'state'],
  ['mamba', 'state'],
  ['mamba2', 'state'],
  ['conv', 'state'],
  ['recurrent', 'state'],
  ['mlp', 'none'],
  ['moe', 'none'],
])

function kindsOf(language: Settings, { layers, notes }: { layers: number; notes: string[] }): Kind[] {
  const all = (kind: (layer: number) => Kind): Kind[] => Array.from({ length: layers }, (_, i) => kind(i))
  const types = language.list('layer_types', 'layers_block_type', 'block_types')
  if (types !== null && types.length > 0) {
    const unknown = new Set(types.map(textIn).filter(type => type !== null && !named.has(type)))
    if (unknown.size > 0)
      notes.push(`Layers of unknown type (${[...unknown].join(', ').slice(0, 120)}) are counted as full attention.`)
    return all(i => named.get(textIn(types[i % types.length]) ?? '') ?? 'attention')
  }
  const model = language.text('model_type') ?? ''
  const hybrid = hybridOf(language, all)
  if (hybrid !== null) return hybrid
  const full = new Set((language.inner('linear_attn_config')?.list('full_attn_layers') ?? []).map(countIn))
  if (full.size > 0) return all(i => (full.has(i + 1) ? 'attention' : 'state'))
  const known = periods.get(model)
  const window = windowOf(language) ?? known?.window ?? null
  if (window === null) return all(() => 'attention')
  const said = language.count('sliding_window_pattern', '_sliding_window_pattern')
  const pattern = language.text('sliding_window_pattern')
  if (pattern !== null && /^[LG]{1,64}$/.test(pattern))
    return all(i => (pattern[i % pattern.length] === 'L' ? 'sliding' : 'attention'))
  const period = said ?? known?.period ?? null
  if (period !== null) return all(i => (slides(i, period) ? 'sliding' : 'attention'))
  if (slideEverywhere.has(model)) return all(() => 'sliding')
  // Qwen2: the first layers see all, the others slide.
  const from = language.count('max_window_layers')
  if (language.flag('use_sliding_window') === true && from !== null)
    return all(i => (i >= from ? 'sliding' : 'attention'))
  notes.push(
    `config.json has a window of ${window} tokens and does not tell for which layers: all are counted as if they had none.`,
  )
  return all(() => 'attention')
}

/** Layers with a state beside layers with attention, for configs that tell by other means than a list of names. */
function hybridOf(language: Settings, all: (kind: (layer: number) => Kind) => Kind[]): Kind[] | null {
  const letters = language.text('hybrid_override_pattern')
  if (letters !== null && letters.length > 0) {
    const kinds = new Map<string, Kind>([
      ['M', 'state'],
      ['*', 'attention'],
    ])
    return all(i => kinds.get(letters[i] ?? '') ?? 'none')
  }
  const interval = language.count('full_attention_interval')
  if (interval !== null && interval > 0) return all(i => ((i + 1) % interval === 0 ? 'attention' : 'state'))
  const period = language.count('attn_layer_period')
  if (period !== null && period > 0) {
    const offset = language.count('attn_layer_offset') ?? 0
    return all(i => (i % period === offset ? 'attention' : 'state'))
  }
  const indices = language.list('attn_layer_indices', 'full_attn_idxs', 'hybrid_layer_ids')
  if (indices !== null) {
    const set = new Set(indices.map(countIn))
    return all(i => (set.has(i) ? 'attention' : 'state'))
  }
  const attends = language.list('attn_type_list')
  if (attends !== null) return all(i => (attends[i] === 1 ? 'attention' : 'state'))
  return /^(falcon_)?mamba2?$/.test(language.text('model_type') ?? '') ? all(() => 'state') : null
}

function stateLayer(language: Settings): LayerAttention {
  const hidden = language.count('hidden_size', 'd_model') ?? 0
  const short = language.count('conv_L_cache')
  if (short !== null) return stateOf({ inner: 0, state: 0, convolution: short, channels: hidden })
  const valueHeads = language.count('linear_num_value_heads')
  if (valueHeads !== null) {
    const keyLength = language.count('linear_key_head_dim') ?? 128
    const keys = (language.count('linear_num_key_heads') ?? valueHeads) * keyLength
    const values = valueHeads * (language.count('linear_value_head_dim') ?? 128)
    const convolution = language.count('linear_conv_kernel_dim') ?? 4
    return stateOf({ inner: values, state: keyLength, convolution, channels: 2 * keys + values })
  }
  const linear = language.inner('linear_attn_config')
  if (linear !== null) {
    const length = linear.count('head_dim') ?? 128
    const inner = (linear.count('num_heads') ?? 0) * length
    return stateOf({
      inner,
      state: length,
      convolution: linear.count('short_conv_kernel_size') ?? 4,
      channels: 3 * inner,
    })
  }
  const state = language.count('mamba_d_state', 'ssm_state_size', 'state_size', 'd_state') ?? 16
  const heads = language.count('mamba_n_heads', 'mamba_num_heads')
  const headLength = language.count('mamba_d_head', 'mamba_head_dim') ?? 0
  const expand = language.count('mamba_expand', 'expand') ?? 2
  const inner = heads === null ? (language.count('mamba_d_inner') ?? hidden * expand) : heads * headLength
  const groups = heads === null ? 0 : (language.count('mamba_n_groups', 'n_groups') ?? 1)
  const convolution = language.count('mamba_d_conv', 'conv_kernel', 'd_conv') ?? 4
  return stateOf({ inner, state, convolution, channels: inner + 2 * groups * state })
}
