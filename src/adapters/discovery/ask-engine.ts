/** What an address tells of the engine behind it: its kind, its models, and what they are quantised to. */
import { quantisationsIn, toQuantisation, type Quantisation } from '../../domain/catalog/index.ts'
import type { EngineKind } from '../../domain/serving/index.ts'
import { field, getJson, getText, type Ask } from './get.ts'

export type Engine = {
  /** `openai` where nothing tells. */
  kind: Exclude<EngineKind, 'embedded'>
  models: EngineModel[]
  /** What its owner would want to know, a sentence each. */
  notes: string[]
}

export type EngineModel = {
  /** Its name there. */
  id: string
  /** As the engine tells it, apart from what the name says; `null`: it does not. */
  quantisation: Quantisation | null
}

const mostModels = 200

/** `url` ends in `/v1`. Rejects with an Error that says what is wrong with the address. */
export async function askEngine(url: string, apiKey: string | null, timeoutMs: number): Promise<Engine> {
  const ask: Ask = { apiKey, signal: AbortSignal.timeout(timeoutMs) }
  const entries = await listEntries(url, ask)
  const root = url.replace(/\/v\d+$/, '')
  for (const recognise of recognisers) {
    const known = await recognise(entries, root, ask)
    if (known !== null) return known
  }
  return { kind: 'openai', models: entries.map(({ id }) => ({ id, quantisation: null })), notes: [] }
}

/** A model in `GET /v1/models`. */
type Entry = { id: string; owner: unknown; entry: unknown }

async function listEntries(url: string, ask: Ask): Promise<Entry[]> {
  const { status, text } = await getText(`${url}/models`, ask)
  if (status < 200 || status > 299) throw new Error(`${url}/models answers ${status}`)
  const data = field(parse(text), 'data')
  if (!Array.isArray(data)) throw new Error(`${url}/models does not answer as an OpenAI-compatible engine does`)
  return (
    data
      .flatMap((entry: unknown) => {
        const id = field(entry, 'id')
        return typeof id === 'string' ? [{ id, owner: field(entry, 'owned_by'), entry }] : []
      })
      // Names are shown on terminals, which obey control characters.
      .filter(({ id }) => !/\p{C}/u.test(id))
      .slice(0, mostModels)
  )
}

/** `null`: it is another engine. */
type Recogniser = (entries: readonly Entry[], root: string, ask: Ask) => Promise<Engine | null>

/** Those that name themselves in their list of models first: they cost no further question. */
const recognisers: readonly Recogniser[] = [asLlamaServer, asSelfNamed, asVllm, asSglang, asOllama, asTgi]

async function asLlamaServer(entries: readonly Entry[]): Promise<Engine | null> {
  if (!ownedBy(entries, 'llamacpp')) return null
  const models = entries.map(({ id, entry }) => ({
    id,
    quantisation: ofFileType(field(field(entry, 'meta'), 'ftype')),
  }))
  return { kind: 'llama-cpp', models, notes: [] }
}

async function asSelfNamed(entries: readonly Entry[]): Promise<Engine | null> {
  const kinds = { 'tensorrt_llm': 'tensorrt-llm', 'Triton Inference Server': 'triton' } as const
  for (const [owner, kind] of Object.entries(kinds))
    if (ownedBy(entries, owner)) return { kind, models: byRoot(entries), notes: [] }
  return null
}

/** Routers before vLLM give its name, too, and lack what it has beside OpenAI's routes. */
async function asVllm(entries: readonly Entry[], root: string, ask: Ask): Promise<Engine | null> {
  if (!ownedBy(entries, 'vllm')) return null
  const version = field(await getJson(`${root}/version`, ask), 'version')
  return typeof version === 'string' ? { kind: 'vllm', models: byRoot(entries), notes: [] } : null
}

async function asSglang(entries: readonly Entry[], root: string, ask: Ask): Promise<Engine | null> {
  if (!ownedBy(entries, 'sglang')) return null
  const info = (await getJson(`${root}/get_server_info`, ask)) ?? (await getJson(`${root}/server_info`, ask))
  const told = field(info, 'quantization')
  const quantisation = typeof told === 'string' ? toQuantisation(told) : null
  const models = byRoot(entries).map(model => ({ ...model, quantisation: model.quantisation ?? quantisation }))
  return { kind: 'sglang', models, notes: [] }
}

async function asOllama(entries: readonly Entry[], root: string, ask: Ask): Promise<Engine | null> {
  const greeting = await getText(`${root}/`, ask).catch(() => null)
  if (greeting?.text.trim() !== 'Ollama is running') return null
  const [tags, running] = await Promise.all([getJson(`${root}/api/tags`, ask), getJson(`${root}/api/ps`, ask)])
  const levels = new Map(
    listOf(field(tags, 'models')).map(model => [
      field(model, 'name'),
      field(field(model, 'details'), 'quantization_level'),
    ]),
  )
  const models = entries.map(({ id }) => ({ id, quantisation: ofFileType(levels.get(id)) }))
  return { kind: 'ollama', models, notes: listOf(field(running, 'models')).flatMap(noteOfCpu) }
}

/** text-embeddings-inference has the same route, without the room for an answer. */
async function asTgi(entries: readonly Entry[], root: string, ask: Ask): Promise<Engine | null> {
  const info = await getJson(`${root}/info`, ask)
  const id = field(info, 'model_id')
  const room = field(info, 'max_total_tokens')
  if (typeof id !== 'string' || typeof room !== 'number') return null
  const quantisation = quantisationsIn(id).at(-1) ?? ofDtype(field(info, 'model_dtype'))
  return { kind: 'tgi', models: entries.map(entry => ({ id: entry.id, quantisation })), notes: [] }
}

/** Ollama's owners are its users, who may be called anything. */
const ownedBy = (entries: readonly Entry[], owner: string): boolean =>
  entries.length > 0 && entries.every(entry => entry.owner === owner)

/** `root` is the name or path of the weights, where `id` is what they are served as. */
function byRoot(entries: readonly Entry[]): EngineModel[] {
  return entries.map(({ id, entry }) => {
    const root = field(entry, 'root')
    return { id, quantisation: typeof root === 'string' ? (quantisationsIn(root).at(-1) ?? null) : null }
  })
}

/** llama.cpp's names of file types: `Q4_K_M` in Ollama's words, `Q4_K - Medium` in llama-server's. */
function ofFileType(told: unknown): Quantisation | null {
  if (typeof told !== 'string') return null
  const [, type = '', size = ''] = /^(?:\(guessed\) )?(?:all )?(\w+)(?: - (Small|Medium|Large))?/.exec(told) ?? []
  return toQuantisation(size === '' ? type : `${type}_${size.slice(0, 1)}`)
}

function ofDtype(told: unknown): Quantisation | null {
  if (typeof told !== 'string') return null
  return toQuantisation(told.replace(/^torch\./, '').replace(/float(?=\d)/, told.includes('bfloat') ? 'f' : 'fp'))
}

/** What does not fit into video memory is computed on the CPU, which nobody is told otherwise. */
function noteOfCpu(model: unknown): string[] {
  const [name, size, onGpu] = [field(model, 'name'), field(model, 'size'), field(model, 'size_vram')]
  if (typeof name !== 'string' || typeof size !== 'number' || typeof onGpu !== 'number') return []
  const part = Math.round((1 - onGpu / size) * 100)
  if (!(part > 0) || /\p{C}/u.test(name)) return []
  return [`${part} % of ${name} is on the CPU, which is slow: less context or a smaller quantisation may fit the GPU.`]
}

const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : [])

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
