/** What llama.cpp needs (llama-server, Ollama, the embedded engine): layers over cards and RAM, a cache made once. */
import { cacheTypeOf, flagOf, isOn, names, numberOf } from './flags.ts'
import { inGibi, mebi, sumOf, toLine, total } from './fleet.ts'
import type { Card, Line, Need, NeedReading, Place, Settings, Workload } from './fleet.ts'
import { kvBytes, kvTotal } from './kv-cache.ts'
import type { KnownFacts } from './known-models.ts'
import { profileFor } from './measured.ts'
import { activeWidth, expertShare, partsOf } from './weights.ts'

const leastContext = 4096
const estimate = 'an estimate, checked against llama.cpp’s logs'
/** What llama.cpp's own fitting leaves free on each card. */
const fitMargin = 1024

/** How one of the programs names what memory depends on. */
type Asked = {
  /** Of one sequence; `null`: not said. */
  context: number | null
  sequences: number
  /** Caches of one sequence that come besides, for embeddings. */
  extra: number
  types: Pick<Settings, 'keyType' | 'valueType'>
  microBatch: number
  flashAttention: boolean
  cpuMoe: number
  cpuLayers: number
  margin: number
}

type Layout = { workload: Workload; facts: KnownFacts; asked: Asked; context: number; cards: readonly Card[] }

export function needLlama(workload: Workload, facts: KnownFacts, { cards: given, room, grow }: Place): NeedReading {
  const layers = partsOf(facts).layers.length
  const stated = read(workload, layers)
  const cards = stated.cpuLayers >= layers ? [] : given
  const asked = cards.length === 0 ? { ...stated, cpuLayers: layers } : stated
  const longest = facts.contextLength ?? 32_768
  const at = (context: number): Need => toNeed({ workload, facts, asked, context, cards }, room)
  if (asked.context !== null || !grow) return { ok: true, need: at(asked.context ?? Math.min(longest, leastContext)) }

  const fits = (context: number): boolean =>
    at(context).cards.every((lines, index) => sumOf(lines) <= (room[index] ?? 0)) &&
    (cards.length > 0 || context <= leastContext * 8)
  if (fits(longest)) return { ok: true, need: at(longest) }
  let [good, bad] = [Math.min(longest, leastContext) / 1024, Math.ceil(longest / 1024)]
  while (bad - good > 1) {
    const middle = Math.floor((good + bad) / 2)
    if (fits(middle * 1024)) good = middle
    else bad = middle
  }
  return { ok: true, need: at(good * 1024) }
}

function read(workload: Workload, layers: number): Asked {
  const { kind } = workload.engine
  if (kind === 'embedded') {
    const sequences = numberOf(workload, 'sequences') ?? 8
    const extra = workload.engine.task === 'embed' ? 1 : 0
    return { ...plain, context: numberOf(workload, 'context-size'), sequences, extra, cpuLayers: layers }
  }
  if (kind === 'ollama') {
    const type = cacheTypeOf(workload, ['kv-cache-type', 'ollama-kv-cache-type'], 'f16')
    return {
      ...plain,
      context: numberOf(workload, 'context-length', 'num-ctx', 'ollama-context-length'),
      sequences: numberOf(workload, 'num-parallel', 'ollama-num-parallel') ?? 1,
      types: { keyType: type, valueType: type },
    }
  }
  const context = numberOf(workload, ...names.contextLlama) ?? 0
  const sequences = Math.max(1, numberOf(workload, ...names.parallel) ?? 1)
  const gpuLayers = numberOf(workload, ...names.gpuLayers)
  const attention = String(flagOf(workload, 'flash-attn', 'fa') ?? 'auto')
  return {
    ...plain,
    context: context > 0 ? Math.floor(context / sequences) : null,
    sequences,
    types: {
      keyType: cacheTypeOf(workload, names.keyType, 'f16'),
      valueType: cacheTypeOf(workload, names.valueType, 'f16'),
    },
    microBatch: numberOf(workload, ...names.microBatch) ?? plain.microBatch,
    flashAttention: !['off', 'false', '0'].includes(attention),
    cpuMoe: holdsAllExperts(workload) ? layers : Math.min(layers, numberOf(workload, ...names.cpuMoe) ?? 0),
    // The output counts as one more layer.
    cpuLayers: gpuLayers === null || gpuLayers < 0 ? 0 : Math.max(0, Math.min(layers, layers + 1 - gpuLayers)),
    margin: numberOf(workload, 'fit-target', 'fitt') ?? fitMargin,
  }
}

const plain: Asked = {
  ...{ context: null, sequences: 1, extra: 0, types: { keyType: 'f16', valueType: 'f16' } },
  ...{ microBatch: 512, flashAttention: true, cpuMoe: 0, cpuLayers: 0, margin: fitMargin },
}

const holdsAllExperts = (workload: Workload): boolean =>
  isOn(workload, 'cpu-moe', 'cmoe') || /exps.*=\s*CPU/i.test(String(flagOf(workload, 'override-tensor', 'ot') ?? ''))

function toNeed(layout: Layout, room: readonly number[]): Need {
  const { workload, facts, asked, context, cards } = layout
  const parts = partsOf(facts)
  const count = parts.layers.length
  const measured = profileFor(workload, cards)
  const cache = cacheOf(layout)
  const perLayer = parts.layers.map((layer, index) => {
    const onCpu = index < asked.cpuLayers
    const expertsOnCpu = onCpu || index < asked.cpuLayers + asked.cpuMoe
    return {
      gpu: onCpu ? 0 : layer.dense + (expertsOnCpu ? 0 : layer.experts) + cache / count,
      weights: onCpu ? 0 : layer.dense + (expertsOnCpu ? 0 : layer.experts),
      dense: layer.dense,
      experts: layer.experts,
      ...{ onCpu, expertsOnCpu },
    }
  })
  const output = parts.output || parts.embedding
  const compute = computeBuffers(layout)
  const split = splitLayers(
    perLayer.map(layer => layer.gpu),
    { room, last: output + parts.other },
  )
  const owner = (index: number): number => split.findIndex(range => index >= range.from && index < range.to)
  const share = expertShare(facts)

  const cardLines = cards.map((_, card): Line[] => {
    const range = split[card] ?? { from: 0, to: 0 }
    const here = perLayer.slice(range.from, range.to)
    const isLast = card === cards.length - 1
    const weights = total(here.map(layer => layer.weights)) + (isLast ? output + parts.other : 0)
    const own = measured?.devices[card]
    const onGpu = here.filter(layer => !layer.onCpu).length
    const away = here.filter(layer => layer.expertsOnCpu && !layer.onCpu && layer.experts > 0).length
    const cite = (value: number | null | undefined, otherwise: string): string =>
      value === undefined || value === null ? otherwise : (measured?.source ?? '')
    return [
      toLine('weights', `weights of ${onGpu} layers${isLast ? ' and the output' : ''}`, {
        bytes: own?.weights ?? weights,
        formula: away === 0 ? 'sum of their tensors' : `sum of their tensors, without the experts of ${away} layers`,
        source: cite(own?.weights, facts.source),
      }),
      toLine('kv', `cache for ${asked.sequences + asked.extra} × ${context} tokens in ${onGpu} layers`, {
        bytes: (cache * onGpu) / count,
        formula: kvFormula(layout),
        source: facts.source,
      }),
      toLine('compute', 'compute buffer', {
        bytes: own?.compute ?? (isLast ? compute.last : compute.other),
        formula: compute.formula,
        source: cite(own?.compute, estimate),
      }),
      toLine('overhead', 'GPU context and kernels', {
        bytes: 500 * mebi,
        formula: '0.5 GiB',
        source: 'an estimate: 0.3 to 0.6 GiB',
      }),
    ]
  })

  const cpuDense = total(perLayer.filter(layer => layer.onCpu).map(layer => layer.dense))
  const cpuExperts = total(perLayer.filter(layer => layer.expertsOnCpu).map(layer => layer.experts))
  const cpuLayers = perLayer.filter(layer => layer.onCpu).length
  const onlyCpu = cards.length === 0
  const cpuEnds = onlyCpu ? parts.output + parts.other : 0
  const host = measured?.host ?? null
  const isEmbedded = workload.engine.kind === 'embedded'
  const cite = (value: number | null | undefined, otherwise: string): string =>
    value === undefined || value === null ? otherwise : (measured?.source ?? '')
  const ram = [
    toLine('weights', whatInRam({ cpuLayers, cpuExperts, perLayer }), {
      bytes: host?.weights ?? parts.embedding + cpuDense + cpuExperts + cpuEnds,
      formula: 'sum of their tensors',
      source: cite(host?.weights, facts.source),
    }),
    toLine(
      'kv',
      onlyCpu ? `cache for ${asked.sequences + asked.extra} × ${context} tokens` : `cache of ${cpuLayers} layers`,
      {
        bytes: (cache * cpuLayers) / count,
        formula: kvFormula(layout),
        source: facts.source,
      },
    ),
    toLine('compute', 'compute and output buffers', {
      bytes:
        host?.compute ?? (onlyCpu ? compute.last : 0) + asked.extra * compute.embedding + outputBuffer(facts, asked),
      formula: onlyCpu ? compute.formula : 'logits and embeddings of one batch',
      source: cite(host?.compute, estimate),
    }),
    toLine('overhead', 'the process', {
      bytes: (isEmbedded ? 140 : 300) * mebi,
      formula: isEmbedded ? '140 MiB' : '300 MiB',
      source: 'an estimate: the program, its vocabulary tables, its threads',
    }),
  ].filter(line => line.bytes > 0)
  const read = perLayer.map((layer, index) => ({ ...layer, card: layer.onCpu ? -1 : owner(index) }))
  const kvRead =
    kvTotal(facts.attention, { ...asked.types, context: Math.min(context, leastContext), sequences: 1 }) / count
  return {
    cards: cardLines,
    ram,
    settings: {
      ...{
        context,
        sequences: asked.sequences,
        ...asked.types,
        tensorParallel: 1,
        pipelineParallel: Math.max(1, cards.length),
      },
      ...{ cpuMoe: Math.min(asked.cpuMoe, count), cpuLayers, fraction: null },
    },
    cacheTokens: context * asked.sequences,
    headroom: cards.length === 0 ? 0 : asked.margin * mebi,
    perToken: {
      gpu: cards.map((_, card) => {
        const here = read.filter(layer => layer.card === card)
        const ends = card === cards.length - 1 ? output : 0
        return total(here.map(layer => layer.dense + (layer.expertsOnCpu ? 0 : layer.experts * share) + kvRead)) + ends
      }),
      ram:
        total(
          read.map(
            layer => (layer.onCpu ? layer.dense + kvRead : 0) + (layer.expertsOnCpu ? layer.experts * share : 0),
          ),
        ) + (onlyCpu ? output : 0),
      pcie: 0,
    },
    remarks: [
      ...(isEmbedded && asked.extra === 0
        ? [
            `a first request for embeddings would take ${inGibi(cache / asked.sequences + compute.embedding)} more: task: embed counts it`,
          ]
        : []),
      ...(asked.cpuMoe > 0 && cards.length > 0 ? ['experts in RAM: its bandwidth bounds the speed'] : []),
      ...(!asked.flashAttention && asked.types.valueType !== 'f16'
        ? ['a quantised cache of values needs flash attention: leave it on']
        : []),
    ],
  }
}

type InRam = { cpuLayers: number; cpuExperts: number; perLayer: readonly { onCpu: boolean; expertsOnCpu: boolean }[] }

function whatInRam({ cpuLayers, cpuExperts, perLayer }: InRam): string {
  const away = perLayer.filter(layer => layer.expertsOnCpu && !layer.onCpu).length
  const layers = cpuLayers === 0 ? [] : [`${cpuLayers} layers`]
  const experts = away === 0 || cpuExperts === 0 ? [] : [`the experts of ${away} layers`]
  return `weights in RAM: ${['the embedding', ...layers, ...experts].join(', ')}`
}

function cacheOf(layout: Layout): number {
  const { facts, asked, context } = layout
  const each = { ...asked.types, context: roundUp(context, 256), cells: 256 }
  const answers = kvTotal(facts.attention, {
    ...each,
    sequences: asked.sequences,
    beyondWindow: beyondWindow(asked.microBatch),
  })
  // A text is embedded in one piece: the batch is as long as the context.
  return answers + kvTotal(facts.attention, { ...each, sequences: asked.extra, beyondWindow: beyondWindow(context) })
}

/** What a sliding layer holds besides its window: the batch in flight, and the token that comes next. */
const beyondWindow = (batch: number): number => batch + 1

function kvFormula({ facts, asked, context }: Layout): string {
  const { bytesPerToken, bytesPerSequence } = kvBytes(facts.attention, asked.types)
  const fixed = bytesPerSequence === 0 ? '' : ` + ${inGibi(bytesPerSequence)} a sequence`
  return `${Math.round(bytesPerToken)} B a token (${asked.types.keyType}, ${asked.types.valueType}) × ${context} × ${asked.sequences + asked.extra}${fixed}`
}

/** Logits of a micro batch, the mask, and what one layer works in; a copy of an expert tensor where experts are in RAM. */
function computeBuffers(layout: Layout): { last: number; other: number; embedding: number; formula: string } {
  const { facts, asked, context } = layout
  const batch = Math.min(asked.microBatch, context)
  const experts = Math.max(0, ...partsOf(facts).layers.map(each => each.experts))
  const copy = asked.cpuMoe > 0 ? experts / 3 : 0
  return {
    last: bufferAt(layout, batch) + copy,
    other: layerBuffer(facts, batch) + maskBuffer(layout, batch) + copy,
    embedding: bufferAt(layout, context),
    formula: `${batch} tokens at once: the larger of logits and a layer, masks${copy > 0 ? ', one expert tensor' : ''}`,
  }
}

/** A layer and the logits are never there at once. */
function bufferAt(layout: Layout, batch: number): number {
  const { facts } = layout
  const logits = batch * 4 * ((facts.vocabulary ?? 152_000) + 4 * (facts.hidden ?? 4096))
  return Math.max(logits, layerBuffer(facts, batch)) + maskBuffer(layout, batch)
}

/** 32-bit numbers: gate, up and their product, and four states. Fitted to llama.cpp's own logs (docs/design/0025-capacity.md). */
function layerBuffer(facts: KnownFacts, batch: number): number {
  const hidden = facts.hidden ?? 4096
  return batch * 4 * (3 * activeWidth(facts) + 4 * hidden + (facts.experts?.used ?? 0) * hidden)
}

/** 16 bits for each token in flight and each in the cache; without flash attention every head's scores, too. */
function maskBuffer({ facts, asked, context }: Layout, batch: number): number {
  const cells = roundUp(context, 256)
  const windows = facts.attention.flatMap(group => (group.kind === 'sliding' ? [group.window] : []))
  const sliding = windows.length === 0 ? 0 : Math.min(cells, roundUp(Math.max(...windows) + beyondWindow(batch), 256))
  return batch * (cells + sliding) * 2 + (asked.flashAttention ? 0 : batch * cells * 4 * (facts.heads ?? 32))
}

const outputBuffer = (facts: KnownFacts, asked: Asked): number =>
  ((facts.hidden ?? 4096) + (facts.vocabulary ?? 152_000)) * 4 * Math.max(1, asked.sequences)

const roundUp = (value: number, step: number): number => Math.ceil(value / step) * step

/** Contiguous runs of layers, one a card, so that the fullest card is as little full as can be. */
function splitLayers(
  layers: readonly number[],
  { room, last }: { room: readonly number[]; last: number },
): { from: number; to: number }[] {
  const cards = room.length
  if (cards === 0) return []
  const fill = (level: number): { from: number; to: number }[] | null => {
    const ranges: { from: number; to: number }[] = []
    let from = 0
    for (let card = 0; card < cards; card++) {
      let left = (room[card] ?? 0) * level - (card === cards - 1 ? last : 0)
      let to = from
      while (to < layers.length && (layers[to] ?? 0) <= left) {
        left -= layers[to] ?? 0
        to++
      }
      ranges.push({ from, to })
      from = to
    }
    return from === layers.length ? ranges : null
  }
  const rest: { from: number; to: number }[] = room.map((_, card) =>
    card === cards - 1 ? { from: 0, to: layers.length } : { from: 0, to: 0 },
  )
  if (cards === 1) return rest
  let [low, high, best] = [0, 64, rest]
  for (let step = 0; step < 40; step++) {
    const level = (low + high) / 2
    const ranges = fill(level)
    if (ranges === null) low = level
    else [high, best] = [level, ranges]
  }
  return best
}
