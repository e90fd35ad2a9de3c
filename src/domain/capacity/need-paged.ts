/** What engines with a paged cache need (vLLM, SGLang, TensorRT-LLM, Triton, TGI): they take a share and fill it with cache. */
import { cacheTypeOf, flagOf, names, numberOf } from './flags.ts'
import { gibi, inGibi, mebi, toLine, total } from './fleet.ts'
import type { Card, Line, Need, NeedReading, Place, Settings, Workload } from './fleet.ts'
import { attentionOfRank, kvBytes, kvTotal } from './kv-cache.ts'
import type { KnownFacts } from './known-models.ts'
import { profileFor } from './measured.ts'
import { countsGraphs, fixedLines, isOutside } from './paged-lines.ts'
import { expertShare, partsOf } from './weights.ts'

/** `of-total`: a share of the card's whole memory. `static`: the same, for weights and cache alone. `of-free`: of what is left after weights. */
type Budget = {
  rule: 'of-total' | 'static' | 'of-free'
  flags: readonly string[]
  fallback: (workload: Workload) => number
  source: string
}

const budgets: Readonly<Record<string, Budget>> = {
  'vllm': {
    ...{ rule: 'of-total', flags: ['gpu-memory-utilization'], fallback: vllmDefault },
    source: 'vLLM: gpu-memory-utilization is a share of the card’s TOTAL memory, for this engine alone',
  },
  'sglang': {
    ...{ rule: 'static', flags: ['mem-fraction-static'], fallback: () => 0.88 },
    source: 'SGLang: mem-fraction-static is the share of the card for weights and cache',
  },
  'tensorrt-llm': {
    ...{
      rule: 'of-free',
      flags: ['kv-cache-free-gpu-memory-fraction', 'free-gpu-memory-fraction'],
      fallback: () => 0.9,
    },
    source: 'TensorRT-LLM: the fraction is of what is FREE once the weights are loaded',
  },
  'triton': {
    ...{ rule: 'of-free', flags: ['kv-cache-free-gpu-mem-fraction'], fallback: () => 0.9 },
    source: 'Triton’s TensorRT-LLM backend: the fraction is of what is FREE once the weights are loaded',
  },
  'tgi': {
    ...{ rule: 'of-total', flags: ['cuda-memory-fraction'], fallback: () => 0.95 },
    source: 'TGI: cuda-memory-fraction is a share of the card’s total memory',
  },
}
const other: Budget = {
  rule: 'of-total',
  flags: [],
  fallback: () => 0.9,
  source: 'an engine that is not known: as vLLM',
}

const leastContext = 4096

function vllmDefault(workload: Workload): number {
  return countsGraphs(workload) ? 0.92 : 0.9
}

export function needPaged(workload: Workload, facts: KnownFacts, { cards, room: given, grow }: Place): NeedReading {
  const room = grow ? given : 'least'
  const { kind } = workload.engine
  if (cards.length === 0) return { ok: false, why: `${kind} needs a GPU, and there is none for it` }
  const vendors = [...new Set(cards.map(card => card.vendor ?? 'unknown'))]
  if (vendors.length > 1)
    return {
      ok: false,
      why: `one ${kind} can’t use cards of ${vendors.join(' and ')} together: llama.cpp over Vulkan can`,
    }
  const parallel = parallelOf(workload, facts, cards)
  if ('why' in parallel) return { ok: false, why: parallel.why }
  const { tensorParallel, pipelineParallel } = parallel

  const budget = budgets[kind] ?? other
  const stated = numberOf(workload, ...budget.flags)
  const fraction = stated ?? budget.fallback(workload)
  if (fraction <= 0 || fraction > 1)
    return { ok: false, why: `${budget.flags[0] ?? 'the share'} is ${fraction}, and must be more than 0 and at most 1` }

  const keyType = cacheTypeOf(workload, ['kv-cache-dtype'], 'bf16')
  const types = { keyType, valueType: keyType }
  const attention = attentionOfRank(facts.attention, tensorParallel)
  const perToken = kvBytes(attention, types).bytesPerToken / pipelineParallel
  const cacheOf = (context: number): number =>
    kvTotal(attention, { ...types, context: Math.ceil(context / 16) * 16, sequences: 1 }) / pipelineParallel
  const asked = numberOf(workload, 'max-model-len', 'context-length', 'max-seq-len', 'max-total-tokens')
  const longest = facts.contextLength ?? 32_768
  const context = asked ?? Math.min(longest, leastContext)

  const offload = (numberOf(workload, 'cpu-offload-gb') ?? 0) * gibi
  const measured = profileFor(workload, cards)
  const fixed = cards.map(card =>
    fixedLines({
      workload,
      facts,
      card,
      ranks: cards.length,
      tensorParallel,
      offload,
      measured,
      share: budget.rule === 'of-total' ? stated : null,
    }),
  )
  const claims = (lines: readonly Line[]): number =>
    total(lines.filter(line => !isOutside(line)).map(line => line.bytes))
  const outside = (lines: readonly Line[]): number => total(lines.filter(isOutside).map(line => line.bytes))

  /** What is left for cache on each card when the engine may take `share` of it. */
  const cacheAt = (card: Card, lines: readonly Line[], share: number): number => {
    if (budget.rule !== 'static') return share * card.capacity - claims(lines)
    return share * card.capacity - total(lines.filter(line => line.part === 'weights').map(line => line.bytes))
  }
  const leastCache = cacheOf(context)
  const bytesStated = numberOf(workload, 'kv-cache-memory-bytes')

  let cache: number[]
  let shares: number | null = fraction
  if (bytesStated !== null) {
    cache = cards.map(() => bytesStated)
    shares = null
  } else if (budget.rule === 'of-free') {
    cache = cards.map((_, index) =>
      room === 'least' ? leastCache / fraction : fraction * ((room[index] ?? 0) - claims(fixed[index] ?? [])),
    )
  } else if (stated !== null) cache = cards.map((card, index) => cacheAt(card, fixed[index] ?? [], fraction))
  else {
    // The plan says the share itself: what it must have, or all it may have of the room there is.
    shares = Math.max(
      0,
      ...(room === 'least'
        ? cards.map((card, index) => up((leastCache + claimBase(budget, fixed[index] ?? [], claims)) / card.capacity))
        : [
            Math.min(
              fraction,
              ...cards.map((card, index) =>
                down(((room[index] ?? 0) - outsideOf(budget, fixed[index] ?? [], { outside, claims })) / card.capacity),
              ),
            ),
          ]),
    )
    const share = shares
    cache = cards.map((card, index) => cacheAt(card, fixed[index] ?? [], share))
  }
  const smallest = Math.min(...cache)
  if (smallest < leastCache - 1)
    return {
      ok: false,
      why: shortOf({ workload, budget, stated, smallest, leastCache, context, perToken, cards, fixed }),
    }

  const cacheTokens = perToken === 0 ? longest : Math.floor(smallest / perToken)
  const grown = asked ?? (room === 'least' ? context : largestContext(longest, smallest, cacheOf))
  const settings: Settings = {
    ...{ context: grown, keyType, valueType: keyType, tensorParallel, pipelineParallel, cpuMoe: 0, cpuLayers: 0 },
    sequences: Math.max(1, Math.floor(smallest / Math.max(1, cacheOf(grown)))),
    fraction: shares,
  }
  const kvFormula = bytesStated === null ? toFormula(budget, shares) : 'kv-cache-memory-bytes'
  return {
    ok: true,
    need: {
      cards: cards.map((_, index) => [
        ...(fixed[index] ?? []),
        toLine('kv', `cache for ${cacheTokens} tokens, ${Math.round(perToken)} B each`, {
          bytes: Math.floor(cache[index] ?? 0),
          formula: `${kvFormula}; one request of ${grown} tokens takes ${inGibi(cacheOf(grown))}`,
          source: `${budget.source}; ${facts.source}`,
        }),
      ]),
      ram: ramLines(offload * cards.length, cards.length),
      ...{ settings, cacheTokens, headroom: 256 * mebi },
      perToken: readPerToken(facts, { cards, offload, kv: cacheOf(Math.min(grown, leastContext)) * cards.length }),
      remarks: remarksOf({
        workload,
        facts,
        budget,
        stated,
        smallest,
        leastCache,
        measured: measured !== null,
        offload,
      }),
    },
  }
}

// The little more or less: a share that was rounded once must stay what it is.
const up = (share: number): number => Math.ceil(share * 1000 - 1e-6) / 1000
const down = (share: number): number => Math.floor(share * 1000 + 1e-6) / 1000

/** What the share must hold besides the cache. */
function claimBase(budget: Budget, lines: readonly Line[], claims: (lines: readonly Line[]) => number): number {
  if (budget.rule !== 'static') return claims(lines)
  return total(lines.filter(line => line.part === 'weights').map(line => line.bytes))
}

/** What comes on top of the share. */
function outsideOf(
  budget: Budget,
  lines: readonly Line[],
  { outside, claims }: Record<'outside' | 'claims', (lines: readonly Line[]) => number>,
): number {
  if (budget.rule !== 'static') return outside(lines)
  return outside(lines) + claims(lines) - claimBase(budget, lines, claims)
}

function parallelOf(
  workload: Workload,
  facts: KnownFacts,
  cards: readonly Card[],
): { tensorParallel: number; pipelineParallel: number } | { why: string } {
  const statedTensor = numberOf(workload, ...names.tensorParallel)
  const statedPipeline = numberOf(workload, ...names.pipelineParallel)
  const heads = facts.heads ?? cards.length
  const count = cards.length
  const canSplit = heads % count === 0
  const stages = canSplit ? 1 : count
  const pipelineParallel = statedPipeline ?? (statedTensor === null ? stages : Math.max(1, count / statedTensor))
  const tensorParallel = statedTensor ?? Math.max(1, count / pipelineParallel)
  if (tensorParallel * pipelineParallel !== count)
    return {
      why: `tensor parallel ${tensorParallel} × pipeline parallel ${pipelineParallel} wants ${tensorParallel * pipelineParallel} cards, and it has ${count}`,
    }
  if (heads % tensorParallel !== 0)
    return {
      why: `its ${heads} heads can’t be shared out to ${tensorParallel} cards: use ${divisorsOf(heads, count).join(' or ')}`,
    }
  const smallest = Math.min(...cards.map(card => card.capacity))
  if (cards.some(card => card.capacity > 1.3 * smallest) && tensorParallel > 1)
    return {
      why: 'cards of different size take equal parts under tensor parallel: use cards of one kind, or llama.cpp',
    }
  return { tensorParallel, pipelineParallel }
}

const divisorsOf = (heads: number, atMost: number): number[] =>
  Array.from({ length: atMost }, (_, index) => index + 1).filter(size => heads % size === 0)

const toFormula = (budget: Budget, share: number | null): string => {
  if (budget.rule === 'of-free') return `${share} × what is free after the rest`
  return budget.rule === 'static' ? `${share} × memory − weights` : `${share} × memory − the rest`
}

/** The largest context, in steps of 1,024, of which one request has room. */
function largestContext(longest: number, room: number, cacheOf: (context: number) => number): number {
  if (cacheOf(longest) <= room) return longest
  let [fits, doesNot] = [0, Math.ceil(longest / 1024)]
  while (doesNot - fits > 1) {
    const middle = Math.floor((fits + doesNot) / 2)
    if (cacheOf(middle * 1024) <= room) fits = middle
    else doesNot = middle
  }
  return Math.max(1024, fits * 1024)
}

function ramLines(offload: number, engines: number): Line[] {
  const base = toLine('overhead', engines === 1 ? 'the process' : `${engines} processes`, {
    bytes: engines * 4 * gibi,
    formula: `${engines} × 4 GiB`,
    source: 'an estimate: Python, pinned buffers, the tokenizer',
  })
  if (offload === 0) return [base]
  const away = { bytes: offload, formula: 'cpu-offload-gb × cards', source: 'vLLM’s flag' }
  return [toLine('weights', 'weights in RAM', away), base]
}

function readPerToken(
  facts: KnownFacts,
  { cards, offload, kv }: { cards: readonly Card[]; offload: number; kv: number },
): Need['perToken'] {
  const parts = partsOf(facts)
  const share = expertShare(facts)
  const active =
    parts.layers.reduce((sum, layer) => sum + layer.dense + layer.experts * share, 0) +
    (parts.output || parts.embedding)
  const away = offload * cards.length * (active / facts.bytes)
  const each = (active - away + kv) / cards.length
  return { gpu: cards.map(() => each), ram: 0, pcie: away }
}

type Short = {
  workload: Workload
  budget: Budget
  stated: number | null
  smallest: number
  leastCache: number
  context: number
  perToken: number
  cards: readonly Card[]
  fixed: readonly (readonly Line[])[]
}

function shortOf({ workload, budget, stated, smallest, leastCache, context, perToken, cards, fixed }: Short): string {
  const before = total((fixed[0] ?? []).map(line => line.bytes))
  if (smallest <= 0) {
    const taken =
      stated === null
        ? inGibi(cards[0]?.capacity ?? 0)
        : `${budget.flags[0]} ${stated} of ${inGibi(cards[0]?.capacity ?? 0)}`
    return `weights, activations and overhead take ${inGibi(before)} of each card before any cache, and it has ${taken}`
  }
  const tokens = perToken === 0 ? 0 : Math.floor(smallest / perToken)
  const flag = flagOf(workload, 'max-model-len') === undefined ? 'one request' : `one request of max-model-len`
  return `${inGibi(smallest)} are left for cache, ${tokens} tokens; ${flag} of ${context} tokens needs ${inGibi(leastCache)}`
}

type Remarks = {
  workload: Workload
  facts: KnownFacts
  budget: Budget
  stated: number | null
  smallest: number
  leastCache: number
  measured: boolean
  offload: number
}

/** Estimates of activations and overhead are this far off. */
const estimateError = 0.75 * gibi

function remarksOf({ workload, budget, stated, smallest, leastCache, measured, offload }: Remarks): string[] {
  const spare = smallest - leastCache
  return [
    ...(stated !== null && !measured && spare < estimateError
      ? [
          `tight: ${inGibi(spare)} of cache to spare, less than activations can be told beforehand; raise ${budget.flags[0]} if it says that max-model-len is too long`,
        ]
      : []),
    ...(budget.rule === 'of-free'
      ? [`it takes a share of what is free when it starts: start ${workload.replica} after its neighbours on the card`]
      : []),
    ...(offload > 0 ? ['weights in RAM cross PCIe for every token: slow, and slower the more users wait'] : []),
  ]
}
