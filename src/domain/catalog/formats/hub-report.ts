/** From the files of a Hugging Face repository (weights of any container, config.json and what lies beside) to a report. */
import { groupLayers } from './attention.ts'
import { readChatTemplate } from './chat-template.ts'
import { hubAttention } from './hub-attention.ts'
import { languageOf, openSettings, shapeOf } from './hub-config.ts'
import { hubQuantisation, parametersOf, plainName } from './hub-quantisation.ts'
import { shown } from './reading.ts'
import { emptyReport, tallyTypes, type ModelReport } from './report.ts'
import type { StoredTensor } from './safetensors.ts'
import { isRecord, textIn } from './text.ts'
import { layerOf, weigh } from './weigh.ts'

/** What lies beside weights, parsed; `null`: it is not there. */
export type SideFiles = {
  config: unknown
  /** hf_quant_config.json. */
  quantisation: unknown
  /** tokenizer_config.json. */
  tokenizer: unknown
  /** chat_template.jinja. */
  template: string | null
  /** README.md, from its beginning. */
  readme: string | null
}

export type Weights = {
  format: ModelReport['format']
  formatDetail: string
  tensors: readonly StoredTensor[]
  /** Of all weight files. */
  bytes: number
}

/** How it is quantised, for engines: config.json's own word. */
export type HubReport = ModelReport & { quantisationMethod: string | null }

export function toHubReport({ format, formatDetail, tensors, bytes }: Weights, side: SideFiles): HubReport {
  const notes: string[] = []
  const config = openSettings(isRecord(side.config) ? side.config : {})
  const shape = shapeOf(config)
  if (side.config === null)
    notes.push(
      'There is no config.json beside it: of its shape only what the tensors themselves tell is known, and engines want one.',
    )
  const method = hubQuantisation(config, side.quantisation)
  const layers = shape.layers ?? layersIn(tensors)
  const weighed = weigh(
    tensors.map(tensor => ({ name: tensor.name, parameters: parametersOf(tensor, method), bytes: tensor.bytes })),
    { architecture: shape.architecture, layers, experts: shape.experts },
  )
  if (weighed.predictors > 0)
    notes.push(`${weighed.predictors} parameters predict further tokens (MTP): in the total, not in what is active.`)
  const attention =
    layers === null || side.config === null ? [] : groupLayers(hubAttention(languageOf(config), { layers, notes }))
  const types = tallyTypes(tensors)
  const tensorBytes = tensors.reduce((sum, tensor) => sum + tensor.bytes, 0)
  const plain = config.text('torch_dtype', 'dtype')?.replace('torch.', '') ?? null
  return {
    ...emptyReport,
    ...shape,
    format,
    formatDetail,
    layers,
    parameters: weighed.total === 0 ? null : { total: weighed.total, active: weighed.active },
    attention,
    quantisation:
      weighed.total === 0
        ? null
        : {
            name: method?.name ?? (types[0] === undefined ? (plain ?? 'unknown') : plainName(types[0].type)),
            bitsPerWeight: (tensorBytes * 8) / weighed.total,
          },
    quantisationMethod: method?.method ?? null,
    bytes,
    parts: weighed.total === 0 ? null : weighed.parts,
    tokenizer: tokenizerOf(side.tokenizer, shape.vocabulary),
    chatTemplate: readChatTemplate(templatesOf(side)),
    licence: licenceIn(side.readme),
    tensorTypes: types,
    notes,
  }
}

/** Layers are numbered from 0. */
function layersIn(tensors: readonly StoredTensor[]): number | null {
  const highest = tensors.reduce((most, { name }) => Math.max(most, layerOf(name) ?? -1), -1)
  return highest < 0 || highest > 10_000 ? null : highest + 1
}

function tokenizerOf(raw: unknown, vocabulary: number | null): ModelReport['tokenizer'] {
  const kind = isRecord(raw) ? textIn(raw['tokenizer_class']) : null
  return kind === null ? null : { kind: shown(kind), vocabulary }
}

function templatesOf({ tokenizer, template }: SideFiles): Map<string, string> {
  if (template !== null) return new Map([['default', template]])
  const said = isRecord(tokenizer) ? tokenizer['chat_template'] : null
  if (typeof said === 'string') return new Map([['default', said]])
  const found = new Map<string, string>()
  for (const each of Array.isArray(said) ? said.slice(0, 100) : [])
    if (isRecord(each) && typeof each['template'] === 'string')
      found.set(textIn(each['name']) ?? 'default', each['template'])
  return found
}

/** `license:` in the front matter; `other` says more in `license_name`. */
function licenceIn(readme: string | null): string | null {
  const [, matter = ''] = /^---\r?\n(.*?)\r?\n---/s.exec(readme ?? '') ?? []
  const said = (key: string): string | null => {
    const [, value = ''] = new RegExp(`^${key}:[ \\t]*['"]?([^'"\\r\\n]+)`, 'm').exec(matter) ?? []
    return value.trim() === '' ? null : shown(value.trim())
  }
  const licence = said('license')
  return licence === null || licence === 'other' ? (said('license_name') ?? licence) : licence
}
