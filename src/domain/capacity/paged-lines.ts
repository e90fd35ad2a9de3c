/** What an engine with a paged cache takes of a card besides the cache. */
import { isOn, numberOf } from './flags.ts'
import { gibi, inGibi, mebi, toLine } from './fleet.ts'
import type { Card, Line, Workload } from './fleet.ts'
import type { KnownFacts } from './known-models.ts'
import type { MeasuredNeed } from './measured.ts'
import { activeWidth } from './weights.ts'

export type Fixed = {
  workload: Workload
  facts: KnownFacts
  card: Card
  /** Cards that the weights are shared out to. */
  ranks: number
  tensorParallel: number
  /** Bytes of weights that stay in main memory, for each card. */
  offload: number
  measured: MeasuredNeed | null
  /** Of the whole card, where the version says it. */
  share: number | null
}

/** Up to this release of vLLM graphs come on top of the share, and the share is 0.9 by default. */
const [sinceMajor, sinceMinor] = [0, 19]

/** No version counts as new: the larger claim is the safe one. */
export function countsGraphs({ engine }: Workload): boolean {
  const [, major, minor] = /^v?(\d+)\.(\d+)/.exec(engine.version ?? '') ?? []
  if (engine.kind !== 'vllm' || major === undefined) return true
  return Number(major) > sinceMajor || Number(minor) >= sinceMinor
}

const graphsOutside = 'CUDA graphs, on top of the share'
export const isOutside = (line: Line): boolean => line.what === graphsOutside

export function fixedLines(fixed: Fixed): Line[] {
  const { workload, tensorParallel, measured } = fixed
  const context = toLine('overhead', 'CUDA context and libraries', {
    bytes: (tensorParallel > 1 ? 1200 : 400) * mebi,
    formula: tensorParallel > 1 ? '0.4 GiB and 0.8 GiB of NCCL' : '0.4 GiB',
    source: 'an estimate: 0.2 to 1.3 GiB in published logs',
  })
  const graphs = toLine('overhead', countsGraphs(workload) ? 'CUDA graphs' : graphsOutside, {
    ...{ bytes: 600 * mebi, formula: '0.6 GiB', source: 'an estimate: 0.3 to 1.5 GiB' },
    ...cited(measured?.graphs ?? null, measured, 'what its log says capturing took'),
  })
  const weights = weightsLine(fixed)
  const others = isOn(workload, 'enforce-eager', 'disable-cuda-graph') ? [context] : [context, graphs]
  return [weights, computeLine(fixed, [weights, ...others]), ...others]
}

function weightsLine({ facts, ranks, offload, measured }: Fixed): Line {
  const part = ranks === 1 ? '' : ` / ${ranks}`
  return toLine('weights', ranks === 1 ? 'weights' : `weights, 1 of ${ranks} parts`, {
    bytes: facts.bytes / ranks - offload,
    formula: `${inGibi(facts.bytes)}${part}${offload === 0 ? '' : ` − ${inGibi(offload)} in RAM`}`,
    source: facts.source,
    ...cited(measured?.weights ?? null, measured, 'what its log says it loaded'),
  })
}

function computeLine({ workload, facts, card, tensorParallel, measured, share }: Fixed, others: readonly Line[]): Line {
  const isLarge = card.capacity >= 70 * gibi
  const batched =
    numberOf(workload, 'max-num-batched-tokens', 'max-num-tokens', 'chunked-prefill-size') ?? (isLarge ? 8192 : 2048)
  const running = numberOf(workload, 'max-num-seqs', 'max-running-requests', 'max-batch-size') ?? (isLarge ? 1024 : 256)
  const states = 3 + (facts.experts?.used ?? 0)
  const hidden = facts.hidden ?? 4096
  const layer = batched * 2 * (3 * (activeWidth(facts) / tensorParallel) + states * hidden)
  const logits = running * (facts.vocabulary ?? 152_000) * 4
  const inShare = others.filter(line => !isOutside(line)).reduce((sum, line) => sum + line.bytes, 0)
  // What its log tells of the cache tells what was left for everything else.
  const left =
    share === null || measured?.kv === undefined || measured.kv === null
      ? null
      : Math.max(0, share * card.capacity - inShare - measured.kv)
  return toLine('compute', 'activations at their peak', {
    bytes: Math.max(layer, logits),
    formula: `max(${batched} tokens × 2 B × (3 × width + ${states} × ${hidden}), ${running} requests × vocabulary × 4 B)`,
    source: 'an estimate, fitted to profiles that vLLM printed',
    ...cited(left, measured, 'share × memory − the rest − the cache that its log tells'),
    ...cited(measured?.compute ?? null, measured, 'what its log says'),
  })
}

/** A measured number instead of an estimate, where there is one. */
function cited(
  bytes: number | null,
  measured: MeasuredNeed | null,
  formula: string,
): Partial<Pick<Line, 'bytes' | 'formula' | 'source'>> {
  return bytes === null || measured === null ? {} : { bytes, formula, source: measured.source }
}
