/** `model_list`: each entry is one engine at an address, or left out. */
import type { Task } from '../serving/index.ts'
import { entriesOf, fieldOf, itemsOf, numberOf, textOf } from './config.ts'
import type { Path } from './config.ts'
import { leaveRest, modelInfoReasons, modelReasons } from './left-out.ts'
import type { Leave } from './left-out.ts'
import { ownProvider, splitModel } from './providers.ts'
import type { Provider } from './providers.ts'

export type Deployment = {
  path: Path
  /** The public name. */
  model: string
  kind: Provider['kind']
  served: string
  task: Task
  sampling: Record<string, SamplingValue>
  url: string
  /** A reference, `${env:NAME}`; `null`: no key is sent. */
  apiKey: string | null
  weight: number | null
  /** What simple-shuffle weighs by when there is no weight. */
  rate: number | null
  order: number
  id: string | null
}
export type SamplingValue = string | number | boolean | string[]

export type Environment = {
  leave: Leave
  /** The value of an environment variable. Asked for addresses only, never for secrets. */
  variable: (name: string) => string | undefined
}

export const publicModel = /^[A-Za-z0-9._:/-]{1,128}$/
const variableName = /^[A-Za-z_][A-Za-z0-9_]*$/
const address = /^https?:\/\/[^\s/@]+(\/\S*)?$/
const longestAddress = 2000
const fromEnvironment = 'os.environ/'

const tasks: ReadonlyMap<string, Task> = new Map([
  ['chat', 'chat'],
  ['completion', 'chat'],
  ['responses', 'chat'],
  ['embedding', 'embed'],
  ['rerank', 'rerank'],
  ['audio_transcription', 'transcribe'],
  ['audio_speech', 'speak'],
])

/** What clients may leave out and engines take by these names. */
const samplingKeys = [
  'temperature',
  'top_p',
  'top_k',
  'min_p',
  'max_tokens',
  'max_completion_tokens',
  'presence_penalty',
  'frequency_penalty',
  'repetition_penalty',
  'seed',
  'stop',
  'reasoning_effort',
]
const carriedParams = [
  ...samplingKeys,
  'model',
  'api_base',
  'base_url',
  'api_key',
  'custom_llm_provider',
  'litellm_credential_name',
  'weight',
  'order',
]

/** The engines that a spec can name, in the config's order. */
export function readDeployments(config: unknown, environment: Environment): Deployment[] {
  const list = fieldOf(config, 'model_list')
  if (list !== undefined && list !== null && !Array.isArray(list))
    environment.leave(['model_list'], {
      why: 'It is not a list.',
      instead: 'See LiteLLM’s documentation of model_list.',
    })
  const keys = openKeys()
  return itemsOf(list).flatMap((entry, at) => readDeployment(entry, { config, at, keys, environment }) ?? [])
}

type Place = { config: unknown; at: number; keys: KeyNames; environment: Environment }

function readDeployment(entry: unknown, { config, at, keys, environment }: Place): Deployment | null {
  const { leave } = environment
  const path: Path = ['model_list', at]
  const refuse = (why: string, instead: string): null => {
    leave(path, { why, instead })
    return null
  }
  const model = textOf(fieldOf(entry, 'model_name'))
  const params = withCredential(config, fieldOf(entry, 'litellm_params'))
  const named = textOf(fieldOf(params, 'model'))
  if (model === null || named === null)
    return refuse('It lacks model_name or litellm_params.model.', 'Complete it, and import again.')
  if (model.includes('*') || named.includes('*'))
    return refuse(
      'Names with a * stand for whatever a provider has; Holdfast serves models that are named.',
      'List the models of that engine one by one.',
    )
  if (!publicModel.test(model))
    return refuse(
      'A public name has 1 to 128 letters, digits and . _ : / - only, and this one has others.',
      'Choose another name, and tell its clients.',
    )
  const { provider, served } = splitModel(named, textOf(fieldOf(params, 'custom_llm_provider')))
  const engine = ownProvider(provider)
  if (engine === null) return refuse(...notOurs(provider))
  const base = readAddress(fieldOf(params, 'api_base') ?? fieldOf(params, 'base_url') ?? engine.usual, environment)
  if (base.kind === 'none') return refuse(...noAddress(provider))
  if (base.kind === 'unknown')
    return refuse(
      `Its address is in the environment variable ${base.variable}, and a spec says addresses.`,
      `Import again with ${base.variable} set, or write the address out.`,
    )
  if (base.kind === 'bad')
    return refuse('Its api_base is not an http address without user and password.', 'Correct it, and import again.')
  const weight = numberOf(fieldOf(params, 'weight'))
  if (weight !== null && weight <= 0)
    return refuse('Its weight is 0, so that it gets no requests.', 'Give it a weight, or remove it.')
  const info = fieldOf(entry, 'model_info')
  const task = readTask(info, served)
  if (task === null)
    return refuse('Holdfast serves no models of this mode.', 'Let its clients go to the engine themselves.')

  leaveRest(entry, { path, carried: ['model_name', 'litellm_params', 'model_info'], leave, reasons: new Map() })
  const paramsPath = [...path, 'litellm_params']
  leaveRest(params, { path: paramsPath, carried: carriedParams, leave, reasons: modelReasons })
  for (const key of ['weight', 'order']) {
    const value = fieldOf(params, key) ?? null
    if (value !== null && numberOf(value) === null)
      leave([...paramsPath, key], { why: 'It is not a number.', instead: 'Correct it, and import again.' })
  }
  leaveRest(info, { path: [...path, 'model_info'], carried: ['id', 'mode'], leave, reasons: modelInfoReasons })
  return {
    path,
    model,
    kind: engine.kind,
    served,
    task,
    sampling: readSampling(params, paramsPath, leave),
    url: withPath(base.url, engine.path),
    apiKey: readKey(fieldOf(params, 'api_key'), { path: [...paramsPath, 'api_key'], model, keys, leave }),
    weight,
    rate: numberOf(fieldOf(params, 'rpm')) ?? numberOf(fieldOf(params, 'tpm')),
    order: numberOf(fieldOf(params, 'order')) ?? 1,
    id: textOf(fieldOf(info, 'id')),
  }
}

/** A deployment's own settings come before those of the credential that it names. */
function withCredential(config: unknown, params: unknown): unknown {
  const name = textOf(fieldOf(params, 'litellm_credential_name'))
  if (name === null) return params
  const credential = itemsOf(fieldOf(config, 'credential_list')).find(each => fieldOf(each, 'credential_name') === name)
  const own = entriesOf(params).filter(([, value]) => value !== null && value !== undefined)
  return Object.fromEntries([...entriesOf(fieldOf(credential, 'credential_values')), ...own])
}

function notOurs(provider: string): [why: string, instead: string] {
  if (provider === 'triton')
    return [
      'Triton is served through its OpenAI-compatible frontend, and LiteLLM speaks its older API.',
      'Start that frontend, and add a version with engine.kind triton and the frontend’s address (/v1).',
    ]
  return [
    `'${provider.slice(0, 60)}' is a provider in the cloud or one with an API of its own; Holdfast is in front of your engines.`,
    'Leave it in LiteLLM. If it is OpenAI-compatible and yours, write openai/<model> with its api_base, and import again.',
  ]
}

function noAddress(provider: string): [why: string, instead: string] {
  if (provider === 'openai')
    return [
      'It has no api_base, so it is OpenAI’s own service.',
      'Leave it in LiteLLM, or add a version with engine.kind openai and a replica with url and apiKey yourself.',
    ]
  return ['It has no api_base, so nobody knows where the engine is.', 'Add api_base, and import again.']
}

type Address =
  | { kind: 'known'; url: string }
  | { kind: 'unknown'; variable: string }
  | { kind: 'none' }
  | { kind: 'bad' }

function readAddress(value: unknown, { variable }: Environment): Address {
  const written = textOf(value)
  if (written === null) return { kind: 'none' }
  const name = written.startsWith(fromEnvironment) ? written.slice(fromEnvironment.length) : null
  if (name !== null && !variableName.test(name)) return { kind: 'bad' }
  const text = name === null ? written : variable(name)
  if (text === undefined || text === '') return { kind: 'unknown', variable: name ?? '' }
  const url = text.trim().replace(/\/+$/, '')
  return url.length <= longestAddress && address.test(url) ? { kind: 'known', url } : { kind: 'bad' }
}

/** `http://gpu:8000` → `http://gpu:8000/v1`; an address with a path is left as it is. */
const withPath = (url: string, path: string): string => (/^https?:\/\/[^/]+$/.test(url) ? url + path : url)

function readTask(info: unknown, served: string): Task | null {
  const mode = textOf(fieldOf(info, 'mode'))
  if (mode !== null) return tasks.get(mode) ?? null
  return /embed/i.test(served) ? 'embed' : 'chat'
}

function readSampling(params: unknown, path: Path, leave: Leave): Deployment['sampling'] {
  const sampling: Deployment['sampling'] = {}
  for (const key of samplingKeys) {
    const value = fieldOf(params, key)
    if (value === null || value === undefined) continue
    if (isSamplingValue(value)) sampling[key] = value
    else leave([...path, key], { why: 'It is neither a number nor a text.', instead: 'See versions[].sampling.' })
  }
  return sampling
}

function isSamplingValue(value: unknown): value is SamplingValue {
  if (Array.isArray(value)) return value.every(item => typeof item === 'string')
  return (
    typeof value === 'string' || typeof value === 'boolean' || (typeof value === 'number' && Number.isFinite(value))
  )
}

/** Which variable stands for a key that was written out: the same key, the same variable. */
type KeyNames = { nameFor: (key: string, model: string) => string }

function openKeys(): KeyNames {
  const names = new Map<string, string>()
  const taken = new Set<string>()
  return {
    nameFor(key, model) {
      const known = names.get(key)
      if (known !== undefined) return known
      const start = `ENGINE_KEY_${model.toUpperCase().replace(/[^A-Z0-9]+/g, '_')}`
      let name = start
      for (let n = 2; taken.has(name); n++) name = `${start}_${n}`
      taken.add(name)
      names.set(key, name)
      return name
    },
  }
}

/** Written where the client wants some key and the engine none. */
const placeholders = new Set([
  'none',
  'null',
  'empty',
  'dummy',
  'fake',
  'fake-key',
  'no-key',
  'not-needed',
  'na',
  'n/a',
])

function readKey(
  value: unknown,
  { path, model, keys, leave }: { path: Path; model: string; keys: KeyNames; leave: Leave },
): string | null {
  if (value === undefined || value === null || value === '') return null
  const key = textOf(value)
  if (key === null) {
    leave(path, { why: 'It is not text.', instead: 'Add apiKey: ${env:NAME} to the replica.' })
    return null
  }
  if (key.startsWith(fromEnvironment)) {
    const name = key.slice(fromEnvironment.length)
    if (variableName.test(name)) return `\${env:${name}}`
    leave(path, { why: 'It names no environment variable.', instead: 'Add apiKey: ${env:NAME} to the replica.' })
    return null
  }
  if (placeholders.has(key.toLowerCase())) {
    leave(path, { why: 'It only fills a place: the engine is sent no key.', instead: 'Nothing to do.' })
    return null
  }
  const name = keys.nameFor(key, model)
  leave(path, {
    why: 'A key is written out here, and a spec holds no secrets.',
    instead: `Set ${name} to it where Holdfast is started; the spec says \${env:${name}}.`,
  })
  return `\${env:${name}}`
}
