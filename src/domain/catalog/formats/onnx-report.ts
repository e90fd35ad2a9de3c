/** From an ONNX graph to a report. Generators of text name what they keep between tokens in their inputs. */
import { groupLayers, type LayerAttention } from './attention.ts'
import type { OnnxModel } from './onnx.ts'
import { toHubReport, type HubReport, type SideFiles } from './hub-report.ts'

/** How exporters name what a layer keeps (`past_key_values.0.key`, `past_0_key`). */
const pastKey = /^past(?:_key_values)?[._](\d{1,4})[._](?:self[._])?key$/

/** `bytes`: of the graph and all files beside it that hold its tensors. */
export function toOnnxReport(model: OnnxModel, { bytes, side }: { bytes: number; side: SideFiles }): HubReport {
  const { irVersion, producer, opsets, tensors, operators } = model
  const packs = [...operators.keys()].filter(operator =>
    /^(MatMulNBits|DequantizeLinear|GatherBlockQuantized|MatMulInteger|QMoE)$/.test(operator),
  )
  const report = toHubReport(
    {
      format: 'onnx',
      formatDetail: `ONNX IR ${irVersion}, ${opsets.map(({ domain, version }) => `${domain} ${version}`).join(', ')}${producer === null ? '' : `, by ${producer}`}`,
      tensors,
      bytes,
    },
    side,
  )
  const seen = attentionOf(model)
  const heads = report.heads ?? model.attentionHeads.heads
  const notes = report.notes.filter(note => !note.startsWith('There is no config.json'))
  if (packs.length > 0)
    notes.push(
      `Its operators (${packs.join(', ')}) hold packed weights: parameters and bits per weight are counted as stored, so they are estimates.`,
    )
  return {
    ...report,
    heads,
    layers: report.layers ?? (seen.length > 0 ? seen.length : null),
    attention: report.attention.length > 0 ? report.attention : groupLayers(seen),
    notes,
  }
}

/** [batch, heads, tokens, length]. */
function attentionOf({ inputs, attentionHeads }: OnnxModel): LayerAttention[] {
  return inputs.flatMap(({ name, shape }): LayerAttention[] => {
    const kvHeads = shape[1] ?? attentionHeads.kvHeads
    const length = shape[3]
    if (!pastKey.test(name) || typeof kvHeads !== 'number' || typeof length !== 'number') return []
    return [{ kind: 'full', kvHeads, keyLength: length, valueLength: length, window: 0 }]
  })
}
