/** KV cache: what an engine keeps of each token, exact for full, sliding, latent and state layers. Rules: SPEC.md. */
import type { AttentionGroup } from '../catalog/index.ts'

export const cacheTypes = ['f32', 'f16', 'bf16', 'fp8', 'q8_0', 'q5_1', 'q5_0', 'q4_1', 'q4_0', 'iq4_nl'] as const

/** `fp8` is vLLM's and SGLang's, the `q…` are llama.cpp's, as both spell them. */
export type CacheType = (typeof cacheTypes)[number]

export type CacheTypes = { keyType: CacheType; valueType: CacheType }

/** `bytesPerSequence`: what a sequence longer than every window takes besides, however long it is. */
export type KvBytes = { bytesPerToken: number; bytesPerSequence: number }

/** How a cache is laid out. */
export type KvLayout = CacheTypes & {
  /** Tokens of one sequence. */
  context: number
  sequences: number
  /** Tokens that a sliding layer holds beyond its window: llama.cpp keeps the batch in flight, too. */
  beyondWindow?: number
  /** Sliding layers hold a multiple of it. */
  cells?: number
}

/** Bytes of one element, block scales included. */
const elementBytes: Readonly<Record<CacheType, number>> = {
  f32: 4,
  f16: 2,
  bf16: 2,
  fp8: 1,
  q8_0: 34 / 32,
  q5_1: 24 / 32,
  q5_0: 22 / 32,
  q4_1: 20 / 32,
  q4_0: 18 / 32,
  iq4_nl: 18 / 32,
}

/** What one more token takes, and what a sequence takes at most besides. */
export function kvBytes(attention: readonly AttentionGroup[], types: CacheTypes): KvBytes {
  return attention.reduce<KvBytes>(
    (sum, group) => {
      if (group.kind === 'state')
        return { ...sum, bytesPerSequence: sum.bytesPerSequence + group.layers * group.bytesPerSequence }
      const perToken = tokenBytes(group, types)
      return group.kind === 'sliding'
        ? { ...sum, bytesPerSequence: sum.bytesPerSequence + perToken * group.window }
        : { ...sum, bytesPerToken: sum.bytesPerToken + perToken }
    },
    { bytesPerToken: 0, bytesPerSequence: 0 },
  )
}

/** The whole cache. */
export function kvTotal(attention: readonly AttentionGroup[], layout: KvLayout): number {
  return attention.reduce((sum, group) => sum + groupBytes(group, layout), 0)
}

/** What each of `ranks` tensor-parallel GPUs keeps: heads are shared out, a latent vector is on every one (K6). */
export function attentionOfRank(attention: readonly AttentionGroup[], ranks: number): AttentionGroup[] {
  return attention.map(group => {
    if (group.kind === 'latent') return group
    if (group.kind === 'state') return { ...group, bytesPerSequence: Math.ceil(group.bytesPerSequence / ranks) }
    return { ...group, kvHeads: Math.ceil(group.kvHeads / ranks) }
  })
}

function groupBytes(group: AttentionGroup, layout: KvLayout): number {
  const { context, sequences, beyondWindow = 0, cells = 1 } = layout
  if (group.kind === 'state') return group.layers * group.bytesPerSequence * sequences
  const perToken = tokenBytes(group, layout)
  if (group.kind !== 'sliding') return perToken * context * sequences
  const held = Math.ceil((group.window + beyondWindow) / cells) * cells
  return perToken * Math.min(context, held) * sequences
}

function tokenBytes(group: Exclude<AttentionGroup, { kind: 'state' }>, { keyType, valueType }: CacheTypes): number {
  // One vector serves as key and value (K4).
  if (group.kind === 'latent') return group.layers * (group.rank + group.rotary) * elementBytes[keyType]
  const perHead = group.keyLength * elementBytes[keyType] + group.valueLength * elementBytes[valueType]
  return group.layers * group.kvHeads * perHead
}
