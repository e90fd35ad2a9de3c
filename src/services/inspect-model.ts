/** Inspect model: reads the headers of a model's files, wherever they are, and tells what it is, needs and runs on. */
import { kvBytes, type KvBytes } from '../domain/capacity/index.ts'
import {
  ArtifactError,
  ggufParts,
  isTable,
  judgeEngines,
  pickWeights,
  readCheckpoint,
  readGguf,
  readOnnx,
  readPytorch,
  readSafetensors,
  readSavedModel,
  readTensorRt,
  shardsIn,
  sniff,
  sniffBytes,
  toGgufReport,
  toHubReport,
  toOnnxReport,
  toTensorRtReport,
  unknownFormat,
  type EngineVerdict,
  type ListedFile,
  type ModelReport,
  type PytorchFile,
  type SideFiles,
  type StoredTensor,
} from '../domain/catalog/index.ts'

import type { ModelPlace } from './inspect-ports.ts'
import { openModelReader, type ModelReader } from './inspect-reader.ts'

export type Inspection = ModelReport & {
  /** Where it was read. */
  source: string
  /** Weight files, with their sizes. */
  files: ListedFile[]
  /** With 16-bit keys and values; `null`: not known. */
  kv: KvBytes | null
  engines: EngineVerdict[]
  /** What was read of all that. */
  readBytes: number
}

export type InspectOrder = {
  place: ModelPlace
  /** Imports of pickles that whoever asks trusts. */
  allowedImports: ReadonlySet<string>
  signal: AbortSignal
}

const filesAtOnce = 8
const readmeBytes = 64 * 1024
const templateBytes = 1024 * 1024

/** Rejects with an ArtifactError that says what is wrong, where, and what to do, or with the signal's reason. */
export async function inspectModel({ place, allowedImports, signal }: InspectOrder): Promise<Inspection> {
  const reader = openModelReader(place, signal)
  const listed = await place.list()
  const weights = await chooseWeights(reader, { file: place.file, listed })
  const look: Look = { reader, weights, listed, allowedImports }
  const found = await lookAt(look)
  const { report, verdicts } = found
  const kv = report.attention.length === 0 ? null : kvBytes(report.attention, { keyType: 'bf16', valueType: 'bf16' })
  const { quantisation } = report
  return {
    ...report,
    notes: [...report.notes, ...reader.leftOut()],
    quantisation: quantisation === null ? null : { ...quantisation, bitsPerWeight: round(quantisation.bitsPerWeight) },
    source: place.name,
    files: found.files,
    kv,
    engines: judgeEngines({
      report,
      quantisationMethod: null,
      hasConfig: false,
      files: found.files.length,
      bigEndian: false,
      torchScript: false,
      builtForTensorRtLlm: false,
      ...verdicts,
    }),
    readBytes: reader.readBytes(),
  }
}

type Look = {
  reader: ModelReader
  weights: readonly [string, ...string[]]
  listed: readonly ListedFile[] | null
  allowedImports: ReadonlySet<string>
}

type Found = {
  report: ModelReport
  files: ListedFile[]
  /** What only engines want to know. */
  verdicts: Partial<Omit<Parameters<typeof judgeEngines>[0], 'report'>>
}

async function chooseWeights(
  reader: ModelReader,
  { file, listed }: { file: string | null; listed: readonly ListedFile[] | null },
): Promise<[string, ...string[]]> {
  const picked = reader.explain(file ?? '', () => (file === null ? pickWeights(listed ?? []) : pickNamed(file)))
  if ('weights' in picked) return picked.weights
  const index = await reader.json(picked.index)
  const folder = picked.index.slice(0, picked.index.lastIndexOf('/') + 1)
  const [first, ...rest] = reader.explain(picked.index, () => shardsIn(index)).map(shard => folder + shard)
  if (first === undefined) throw new ArtifactError('never', `${picked.index}: it names no files`)
  return [first, ...rest]
}

/** One part of a split or sharded model stands for all of it. */
function pickNamed(file: string): { index: string } | { weights: [string, ...string[]] } {
  if (file.endsWith('.index.json')) return { index: file }
  return { weights: ggufParts(file) }
}

async function lookAt(look: Look): Promise<Found> {
  const { reader, weights } = look
  const [first] = weights
  const head = await reader.with(first, file => file.read(0, sniffBytes))
  const kind = reader.explain(first, () => sniff(head, first))
  switch (kind) {
    case 'gguf':
      return lookAtGguf(look)
    case 'safetensors':
      return lookAtSafetensors(look)
    case 'zip':
    case 'pickle':
      return lookAtPytorch(look, kind === 'zip')
    case 'onnx':
      return lookAtOnnx(look)
    case 'saved-model':
      return lookAtSavedModel(look)
    case 'table':
      return lookAtCheckpoint(look)
    case 'tensorrt':
      return lookAtTensorRt(look)
    case null:
      return lookAtUnknown(look, head)
    default:
      return kind satisfies never
  }
}

async function lookAtGguf({ reader, weights }: Look): Promise<Found> {
  const headers = await inTurns(weights, path => reader.parse(path, readGguf))
  const [first, ...rest] = headers
  if (first === undefined) throw new ArtifactError('never', 'no file was named')
  const parts = first.result.metadata.get('split.count')
  if (typeof parts === 'number' && parts > 1 && parts !== weights.length)
    throw new ArtifactError(
      'never',
      `${weights[0]}: one of ${parts} parts, by what it says, and its name is not that of a part: give the parts the names that they were published under (…-00001-of-0000${parts}.gguf)`,
    )
  const files = headers.map(({ path, bytes }) => ({ path, bytes }))
  const report = reader.explain(weights[0], () =>
    toGgufReport([first.result, ...rest.map(({ result }) => result)], sum(files)),
  )
  return { report, files, verdicts: { bigEndian: first.result.byteOrder === 'big' } }
}

async function lookAtSafetensors(look: Look): Promise<Found> {
  const { reader, weights } = look
  const headers = await inTurns(weights, path => reader.parse(path, readSafetensors))
  const files = headers.map(({ path, bytes }) => ({ path, bytes }))
  const side = await sideFiles(look)
  const tensors = headers.flatMap(({ result }) => result.tensors)
  const detail = `safetensors${weights.length > 1 ? `, ${weights.length} files` : ''}`
  return fromHub({ look, side, files, weights: { format: 'safetensors', formatDetail: detail, tensors } })
}

async function lookAtPytorch(look: Look, zipped: boolean): Promise<Found> {
  const { reader, weights, allowedImports } = look
  const read = await inTurns(weights, path =>
    reader.parse(path, size => readPytorch(size, { zipped, allowed: allowedImports })),
  )
  const files = read.map(({ path, bytes }) => ({ path, bytes }))
  const results = read.map(({ result }) => result)
  const detail = containers[results[0]?.container ?? 'pickle']
  const found = fromHub({
    look,
    side: await sideFiles(look),
    files,
    weights: { format: 'pytorch', formatDetail: detail, tensors: results.flatMap(({ tensors }) => tensors) },
  })
  const torchScript = results.some(({ code }) => code)
  const notes = [...found.report.notes]
  if (torchScript)
    notes.push('It is TorchScript: it brings a program of its own, which is compiled and run when it is loaded.')
  const pickle = joinPickles(results)
  return { ...found, report: { ...found.report, notes, pickle }, verdicts: { ...found.verdicts, torchScript } }
}

const containers: Record<PytorchFile['container'], string> = {
  zip: 'PyTorch archive (zip)',
  legacy: 'PyTorch before 1.6 (pickles in a row)',
  pickle: 'a single pickle',
}

function joinPickles(files: readonly PytorchFile[]): ModelReport['pickle'] {
  const imports = new Map<string, { name: string; times: number; verdict: 'tensors' | 'allowed' | 'refused' }>()
  const calls = new Map<string, number>()
  for (const { pickle } of files) {
    for (const each of pickle.imports)
      imports.set(each.name, { ...each, times: each.times + (imports.get(each.name)?.times ?? 0) })
    for (const { opcode, times } of pickle.calls) calls.set(opcode, times + (calls.get(opcode) ?? 0))
  }
  return { imports: [...imports.values()], calls: [...calls].map(([opcode, times]) => ({ opcode, times })) }
}

async function lookAtOnnx(look: Look): Promise<Found> {
  const { reader, weights } = look
  const [path] = weights
  const { result, bytes } = await reader.parse(path, readOnnx)
  const folder = path.slice(0, path.lastIndexOf('/') + 1)
  const beside = await inTurns(result.externalFiles, async name => {
    if (/(^|[/\\])\.\.([/\\]|$)|^[/\\]/.test(name))
      throw new ArtifactError(
        'never',
        `${path}: its tensors are said to stand in ${name}, outside its folder. The file is made to harm: don't load it`,
      )
    return { path: folder + name, bytes: await reader.bytesOf(folder + name) }
  })
  const missing = beside.filter(file => file.bytes === null).map(file => file.path)
  if (missing.length > 0)
    throw new ArtifactError(
      'never',
      `${path}: its tensors stand in ${missing.join(', ')}, which is not here. Fetch all files of the model`,
    )
  const files = [{ path, bytes }, ...beside.map(file => ({ path: file.path, bytes: file.bytes ?? 0 }))]
  const side = await sideFiles(look)
  return {
    report: toOnnxReport(result, { bytes: sum(files), side }),
    files,
    verdicts: { hasConfig: side.config !== null },
  }
}

async function lookAtSavedModel(look: Look): Promise<Found> {
  const { reader, weights, listed } = look
  const [path] = weights
  const { result, bytes } = await reader.parse(path, readSavedModel)
  const folder = path.slice(0, path.lastIndexOf('/') + 1)
  const index = `${folder}variables/variables.index`
  const hasIndex = (await reader.bytesOf(index)) !== null
  const tensors = hasIndex ? (await reader.parse(index, readCheckpoint)).result.tensors : []
  const data = (listed ?? []).filter(file => file.path.startsWith(`${folder}variables/`))
  const files = [{ path, bytes }, ...data]
  const { version, tags, signatures } = result
  const detail = `TensorFlow SavedModel${version === null ? '' : ` of ${version}`}, tags ${tags.join(', ') || 'none'}, signatures ${signatures.join(', ') || 'none'}`
  const found = fromHub({
    look,
    side: await sideFiles(look),
    files,
    weights: { format: 'tensorflow', formatDetail: detail, tensors: variablesOf(tensors) },
  })
  const notes = hasIndex
    ? ['A SavedModel is a program of TensorFlow operations, which may read and write files: load only what you trust.']
    : ['There is no variables/variables.index beside it: parameters are not known.']
  return { ...found, report: { ...found.report, notes: [...found.report.notes, ...notes] } }
}

async function lookAtCheckpoint(look: Look): Promise<Found> {
  const { reader, weights, listed } = look
  const [path] = weights
  const { result, bytes } = await reader.parse(path, readCheckpoint)
  const stem = path.replace(/\.index$/, '')
  const data = (listed ?? []).filter(file => file.path.startsWith(`${stem}.data-`))
  return fromHub({
    look,
    side: await sideFiles(look),
    files: [{ path, bytes }, ...data],
    weights: {
      format: 'tensorflow',
      formatDetail: result.generation === 1 ? 'TensorFlow checkpoint of the first generation' : 'TensorFlow checkpoint',
      tensors: variablesOf(result.tensors),
    },
  })
}

/** What training keeps beside a variable is no parameter. */
const variablesOf = (tensors: readonly StoredTensor[]): StoredTensor[] =>
  tensors.filter(
    ({ name }) =>
      !/(^|\/)(\.OPTIMIZER_SLOT|_CHECKPOINTABLE_OBJECT_GRAPH|save_counter|global_step|beta\d_power)|\/(Adam|Momentum|RMSProp)(_\d)?$|(^|\/)optimizer\//i.test(
        name,
      ),
  )

async function lookAtTensorRt({ reader, weights }: Look): Promise<Found> {
  const engines = await inTurns(weights, path => reader.parse(path, readTensorRt))
  const files = engines.map(({ path, bytes }) => ({ path, bytes }))
  const config = await reader.jsonIfAny(folderOf(weights[0]) + 'config.json')
  const report = toTensorRtReport(
    engines.map(({ result }) => result),
    { bytes: sum(files), config },
  )
  return { report, files, verdicts: { builtForTensorRtLlm: report.architecture !== null } }
}

/** A table shows at its end, where a name does not tell. */
async function lookAtUnknown(look: Look, head: Uint8Array): Promise<Found> {
  const [first] = look.weights
  const tail = await look.reader.with(first, file =>
    file.bytes === Infinity ? Promise.resolve(new Uint8Array(0)) : file.read(Math.max(0, file.bytes - 8), 8),
  )
  if (isTable(tail)) return lookAtCheckpoint(look)
  return look.reader.explain(first, () => {
    throw unknownFormat(head)
  })
}

function fromHub({
  look,
  side,
  files,
  weights,
}: {
  look: Look
  side: SideFiles
  files: ListedFile[]
  weights: { format: ModelReport['format']; formatDetail: string; tensors: StoredTensor[] }
}): Found {
  const { quantisationMethod, ...report } = look.reader.explain(look.weights[0], () =>
    toHubReport({ ...weights, bytes: sum(files) }, side),
  )
  return { report, files, verdicts: { quantisationMethod, hasConfig: side.config !== null } }
}

async function sideFiles({ reader, weights, listed }: Look): Promise<SideFiles> {
  const folder = folderOf(weights[0])
  // An export's folder may have its config one level up.
  const up = listed?.some(({ path }) => path === 'config.json') === true && folder !== '' ? '' : folder
  const [config, quantisation, tokenizer] = await Promise.all(
    ['config.json', 'hf_quant_config.json', 'tokenizer_config.json'].map(name => reader.jsonIfAny(up + name)),
  )
  const template = await reader.textIfAny(`${up}chat_template.jinja`, templateBytes)
  const readme = await reader.textIfAny(`${up}README.md`, readmeBytes)
  return { config: config ?? null, quantisation: quantisation ?? null, tokenizer: tokenizer ?? null, template, readme }
}

/** Some at once, told in order. */
async function inTurns<A, B>(items: readonly A[], work: (item: A) => Promise<B>): Promise<B[]> {
  const done: B[] = []
  for (let at = 0; at < items.length; at += filesAtOnce)
    done.push(...(await Promise.all(items.slice(at, at + filesAtOnce).map(work))))
  return done
}

const folderOf = (path: string): string => path.slice(0, path.lastIndexOf('/') + 1)
const sum = (files: readonly ListedFile[]): number => files.reduce((bytes, file) => bytes + file.bytes, 0)
const round = (bits: number): number => Math.round(bits * 10_000) / 10_000
