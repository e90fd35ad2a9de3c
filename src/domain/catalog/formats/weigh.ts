/** Weigh: which part of a model each tensor belongs to, and so how many parameters work on one token. */
import type { WeightParts } from '../model-facts.ts'

/** `parameters`: of the model, however they are packed; scales and tables of a quantisation are none. */
export type WeighedTensor = { name: string; parameters: number; bytes: number }

export type Weighed = {
  total: number
  active: number
  bytes: number
  /** Of layers that predict further tokens (MTP), which an engine leaves out unless it is asked to speculate. */
  predictors: number
  parts: WeightParts
}

export type Makeup = {
  architecture: string | null
  layers: number | null
  experts: { count: number; used: number } | null
}

/** gpt-oss's makers leave the table of input embeddings out of what is active; all others count it. */
const embeddingIsNotActive = /^gpt[-_]oss$/

const notLanguage =
  /(^|\.)(vision\w*|visual|vit|audio\w*|speech\w*|image\w*|mm|multi_?modal\w*|\w*projector|perceiver|resampler|connector|aligner|[va])\./
const predictor = /(^|\.)(mtp|mtp_\w+|nextn|eagle|medusa)\./
const layerNumber = /(?:^|\.)(?:layers?|h|blk|blocks?)[./](\d{1,5})[./]/
const expert = /(\.|_)(exps|experts)(\.|_|$)/
const sharedExpert = /shared_?experts?|shexp/
const embedding =
  /(^|\.)(embed_tokens|wte|word_embeddings?|tok_embeddings|token_embd|embed_in|embeddings?)\.(\w+\.)?q?weight$/
const output = /(^|\.)(lm_head|output|embed_out|output_layer)\.(\w+\.)?q?weight/

export function weigh(tensors: readonly WeighedTensor[], { architecture, layers, experts }: Makeup): Weighed {
  const parts: WeightParts = {
    embedding: 0,
    output: 0,
    layers: emptyLayers(layers ?? highestLayer(tensors) + 1),
    other: 0,
  }
  const parameters = { total: 0, experts: 0, predictors: 0, embedding: 0 }
  for (const { name, parameters: count, bytes } of tensors) {
    parameters.total += count
    const place = placeOf(name, parts.layers.length)
    const layer = typeof place === 'number' ? parts.layers[place] : undefined
    if (layer !== undefined && expert.test(name) && !sharedExpert.test(name)) {
      layer.experts += bytes
      parameters.experts += count
    } else if (layer !== undefined) layer.dense += bytes
    else if (place === 'embedding') {
      parts.embedding += bytes
      parameters.embedding += count
    } else if (place === 'output') parts.output += bytes
    else parts.other += bytes
    if (place === 'predictor') parameters.predictors += count
  }
  const idle = experts === null || experts.count === 0 ? 0 : parameters.experts * (1 - experts.used / experts.count)
  const looked = embeddingIsNotActive.test(architecture ?? '') && parts.output > 0 ? parameters.embedding : 0
  return {
    total: parameters.total,
    active: Math.round(parameters.total - idle - parameters.predictors - looked),
    bytes: tensors.reduce((sum, { bytes }) => sum + bytes, 0),
    predictors: parameters.predictors,
    parts,
  }
}

type Place = number | 'embedding' | 'output' | 'predictor' | 'other'

function placeOf(name: string, layers: number): Place {
  if (predictor.test(name)) return 'predictor'
  if (notLanguage.test(name)) return 'other'
  const number = layerOf(name)
  // DeepSeek numbers its predictors on behind its layers.
  if (number !== null) return number < layers ? number : 'predictor'
  if (embedding.test(name)) return 'embedding'
  return output.test(name) ? 'output' : 'other'
}

export function layerOf(name: string): number | null {
  const [, number] = layerNumber.exec(name) ?? []
  return number === undefined ? null : Number(number)
}

const highestLayer = (tensors: readonly WeighedTensor[]): number =>
  tensors.reduce((highest, { name }) => (notLanguage.test(name) ? highest : Math.max(highest, layerOf(name) ?? -1)), -1)

const emptyLayers = (count: number): WeightParts['layers'] =>
  Array.from({ length: count }, () => ({ dense: 0, experts: 0 }))
