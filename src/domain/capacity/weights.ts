/** Weights: where a model's bytes are, and which of them one token reads. */
import type { WeightParts } from '../catalog/index.ts'
import type { KnownFacts } from './known-models.ts'

/** The parts as its files tell them, else shared out as is usual. */
export function partsOf(facts: KnownFacts): WeightParts {
  if (facts.parts !== null) return facts.parts
  const { bytes, parameters } = facts
  const count = Math.max(1, facts.layers ?? 1)
  const total = parameters?.total ?? (bytes * 8) / (facts.quantisation?.bitsPerWeight ?? 16)
  const end = (facts.vocabulary ?? 0) * (facts.hidden ?? 0)
  const endBytes = Math.min(bytes / 8, Math.round((bytes * end) / total))
  const inLayers = bytes - 2 * endBytes
  const expertShare = Math.min(1, expertParameters(facts) / Math.max(1, total - 2 * end))
  const experts = Math.round((inLayers * expertShare) / count)
  const dense = Math.round(inLayers / count) - experts
  return {
    ...{ embedding: endBytes, output: endBytes },
    layers: Array.from({ length: count }, () => ({ dense, experts })),
    other: inLayers - count * (dense + experts),
  }
}

/** What is only used now and then: total = dense + experts, active = dense + experts × used / count. */
function expertParameters({ experts, parameters }: KnownFacts): number {
  if (experts === null || parameters === null || experts.used >= experts.count) return 0
  return (parameters.total - parameters.active) / (1 - experts.used / experts.count)
}

/** The part of the experts that one token reads. */
export const expertShare = ({ experts }: KnownFacts): number =>
  experts === null ? 1 : Math.min(1, experts.used / Math.max(1, experts.count))

/** Columns of the feed-forward matrices that one token goes through, from the parameters in use. */
export function activeWidth(facts: KnownFacts): number {
  const { parameters, layers, hidden, vocabulary } = facts
  if (parameters === null || layers === null || hidden === null) return 4 * (hidden ?? 4096)
  const inLayers = parameters.active - (vocabulary ?? 0) * hidden
  const attention = facts.attention.reduce((sum, group) => {
    if (!('kvHeads' in group)) return sum + group.layers * 2 * hidden * hidden
    return (
      sum +
      group.layers *
        hidden *
        (2 * (facts.heads ?? group.kvHeads) * group.keyLength + 2 * group.kvHeads * group.keyLength)
    )
  }, 0)
  return Math.max(hidden / 4, (inLayers - attention) / layers / (3 * hidden))
}
