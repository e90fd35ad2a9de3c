/** Attention: what each layer keeps of a sequence, grouped. */
import type { AttentionGroup } from '../model-facts.ts'

/** Of one layer; `none`: it shares what another one keeps, or has no attention at all. */
export type LayerAttention =
  | { kind: 'full' | 'sliding'; kvHeads: number; keyLength: number; valueLength: number; window: number }
  | { kind: 'latent'; rank: number; rotary: number }
  | { kind: 'state'; bytesPerSequence: number }

/** Engines compute states in 32 bits; some may keep them in 16. */
const stateValueBytes = 4

/** Layers that keep the same, in the order in which they first appear. */
export function groupLayers(layers: readonly LayerAttention[]): AttentionGroup[] {
  const groups = new Map<string, AttentionGroup>()
  for (const layer of layers) {
    const one = toGroup(layer)
    const key = JSON.stringify(one)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, one)
    else group.layers++
  }
  return [...groups.values()]
}

function toGroup(layer: LayerAttention): AttentionGroup {
  if (layer.kind === 'latent' || layer.kind === 'state') return { ...layer, layers: 1 }
  const { kind, window, ...heads } = layer
  return kind === 'full' ? { kind, layers: 1, ...heads } : { kind, layers: 1, ...heads, window }
}

/** A state space or linear-attention layer: the state itself, and the last tokens of its convolution. */
export function stateOf({
  inner,
  state,
  convolution,
  channels,
}: {
  /** Values of the inner layer, and how many of a state belong to each. */
  inner: number
  state: number
  /** Tokens that a convolution looks at, and its channels. */
  convolution: number
  channels: number
}): LayerAttention {
  const values = inner * state + Math.max(0, convolution - 1) * channels
  return { kind: 'state', bytesPerSequence: values * stateValueBytes }
}

/** Falcon-H1. */
export const bothInOne =
  'Its layers have attention and a state beside it: what a sequence takes is counted without the state.'

export const keepsNothing: LayerAttention = { kind: 'state', bytesPerSequence: 0 }

/** Of every `period` layers all but the last slide, as llama.cpp and most configs have it. */
export const slides = (layer: number, period: number): boolean => period > 0 && layer % period < period - 1

export const describeAttention = (groups: readonly AttentionGroup[], heads: number | null): string =>
  groups.map(group => describeGroup(group, heads)).join(', ')

function describeGroup(group: AttentionGroup, heads: number | null): string {
  const of = `${group.layers} × `
  switch (group.kind) {
    case 'full':
      return `${of}${sharing(group.kvHeads, heads)}`
    case 'sliding':
      return `${of}${sharing(group.kvHeads, heads)} over the last ${group.window} tokens`
    case 'latent':
      return `${of}latent (MLA, rank ${group.rank} + ${group.rotary})`
    case 'state':
      return group.bytesPerSequence === 0 ? `${of}nothing kept` : `${of}state (linear or state space)`
    default:
      return group satisfies never
  }
}

function sharing(kvHeads: number, heads: number | null): string {
  if (kvHeads === heads) return `multi-head (MHA, ${kvHeads})`
  if (kvHeads === 1) return `multi-query (MQA${heads === null ? '' : `, ${heads} share 1`})`
  return `grouped (GQA, ${heads === null ? '' : `${heads} share `}${kvHeads})`
}
