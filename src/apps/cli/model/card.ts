/** What `holdfast model inspect` shows to people. */
import { describeAttention } from '../../../domain/catalog/index.ts'
import type { Inspection } from '../../../services/inspect-model.ts'
import { renderTable } from '../output.ts'

const unknown = 'not known'

export function renderInspection(inspection: Inspection): string {
  const { source, formatDetail, files, bytes, readBytes } = inspection
  const facts = factsOf(inspection).map(([name, value]) => `  ${name.padEnd(14)} ${value}`)
  const engines = renderTable(
    ['engine', 'takes it', 'because'],
    inspection.engines.map(({ engine, ok, why }) => [engine, ok ? 'yes' : 'no', why]),
  )
  return [
    source,
    `${formatDetail}: ${amount(bytes)} in ${files.length} ${files.length === 1 ? 'file' : 'files'}, ${amount(readBytes)} of it read`,
    '',
    ...facts,
    ...picklesOf(inspection),
    '',
    ...engines.split('\n').map(line => `  ${line}`),
    ...(inspection.notes.length === 0 ? [] : ['', ...inspection.notes.map(note => `  Note: ${note}`)]),
    '',
    nextStep(inspection),
  ]
    .map(printable)
    .join('\n')
}

function factsOf(inspection: Inspection): [string, string][] {
  const { architecture, modelClass, layers, hidden, heads, attention, experts, contextLength, licence } = inspection
  return [
    ['architecture', [architecture ?? unknown, modelClass === null ? '' : ` (${modelClass})`].join('')],
    ['parameters', parametersOf(inspection)],
    ['layers', layers === null ? unknown : `${layers}${hidden === null ? '' : `, ${whole(hidden)} wide`}`],
    ['attention', attention.length === 0 ? unknown : describeAttention(attention, heads)],
    ...(experts === null ? [] : [['experts', expertsOf(experts)] satisfies [string, string]]),
    ['context', contextLength === null ? unknown : `${whole(contextLength)} tokens`],
    ['quantisation', quantisationOf(inspection)],
    ['KV cache', kvOf(inspection)],
    ['tokenizer', tokenizerOf(inspection)],
    ['chat template', templateOf(inspection)],
    ['licence', licence ?? 'not told'],
  ]
}

function parametersOf({ parameters }: Inspection): string {
  if (parameters === null) return unknown
  const { total, active } = parameters
  return total === active ? count(total) : `${count(total)}, of which ${count(active)} work on one token`
}

function expertsOf({ count: all, used, shared }: NonNullable<Inspection['experts']>): string {
  return `${all}, of which ${used} work on one token${shared > 0 ? `, and ${shared} shared` : ''}`
}

function quantisationOf({ quantisation, tensorTypes }: Inspection): string {
  if (quantisation === null) return unknown
  const bytes = tensorTypes.reduce((sum, each) => sum + each.bytes, 0)
  const types = tensorTypes
    .slice(0, 4)
    .map(each => `${each.type} ${Math.round((each.bytes / Math.max(1, bytes)) * 100)} %`)
  return `${quantisation.name}, ${quantisation.bitsPerWeight.toFixed(2)} bits per weight (${types.join(', ')} of its bytes)`
}

function kvOf({ kv, contextLength }: Inspection): string {
  if (kv === null) return unknown
  const fixed = kv.bytesPerSequence === 0 ? '' : ` and ${amount(kv.bytesPerSequence)} a sequence`
  const full =
    contextLength === null
      ? ''
      : `; ${amount(kv.bytesPerToken * contextLength + kv.bytesPerSequence)} for a full context`
  return `${whole(kv.bytesPerToken)} B a token${fixed}, in 16 bits${full}`
}

function tokenizerOf({ tokenizer, vocabulary }: Inspection): string {
  const size = tokenizer?.vocabulary ?? vocabulary
  const tokens = size === null ? '' : `${whole(size)} tokens`
  return [tokenizer?.kind ?? unknown, tokens].filter(text => text !== '').join(', ')
}

function templateOf({ chatTemplate }: Inspection): string {
  if (chatTemplate === null) return 'none: for completions only, unless the engine is given one'
  const { tools, system, thinking, names } = chatTemplate
  const says = (does: boolean, what: string): string => `${does ? '' : 'no '}${what}`
  return `${says(system, 'system messages')}, ${says(tools, 'tools')}, ${says(thinking, 'thinking')}${names.length > 1 ? ` (${names.join(', ')})` : ''}`
}

function picklesOf({ pickle }: Inspection): string[] {
  if (pickle === null) return []
  const calls = pickle.calls.map(({ opcode, times }) => `${opcode} ${times}`).join(', ')
  const rows = pickle.imports
    .toSorted((a, b) => a.verdict.localeCompare(b.verdict))
    .map(({ name, times, verdict }) => [verdicts[verdict], name, `${times} times`])
  return [
    '',
    `  Loading it would call what it imports: ${calls === '' ? 'nothing' : calls}`,
    ...(rows.length === 0
      ? []
      : renderTable(['verdict', 'import', 'named'], rows)
          .split('\n')
          .map(line => `  ${line}`)),
  ]
}

const verdicts = { refused: 'REFUSED', allowed: 'allowed by you', tensors: 'makes tensors' } as const

function nextStep({ source, pickle, engines }: Inspection): string {
  const refused = pickle?.imports.find(({ verdict }) => verdict === 'refused')
  if (refused !== undefined)
    return `Loading it would run code. Take safetensors of this model, or, if you know what it does: --allow-pickle ${refused.name}`
  if (!engines.some(({ ok }) => ok)) return 'No engine takes it as it is.'
  const from = source.startsWith('hf:') ? source : `file:${source}`
  if (/^https?:/.test(source)) return 'To serve it, fetch it and name it in a spec: artifact: {from: file:<path>}'
  return `To serve it, name it in a spec: artifact: {from: ${from}}. What fits where: holdfast plan <spec>`
}

function amount(bytes: number): string {
  if (bytes === Infinity) return 'of unknown length'
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  const power = bytes < 1 ? 0 : Math.min(units.length - 1, Math.floor(Math.log2(bytes) / 10))
  const value = bytes / 1024 ** power
  return `${power === 0 ? value : value.toFixed(value < 100 ? 1 : 0)} ${units[power]}`
}

function count(parameters: number): string {
  if (parameters >= 1e9) return `${(parameters / 1e9).toFixed(2)} B`
  return parameters >= 1e6 ? `${(parameters / 1e6).toFixed(1)} M` : whole(parameters)
}

const whole = (number: number): string => Math.round(number).toLocaleString('en-US')

/** Files may name things anything; a terminal's control sequences stay out of the output. */
const printable = (text: string): string => text.replace(/[\p{Cc}\p{Cf}]/gu, '\uFFFD')
