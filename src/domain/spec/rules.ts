/** Rules between keys: names of versions against what they hold, and which keys go together. Looks at the document as written. */
import { parseArtifactSource, parseVersionName, quantisationsIn, toQuantisation } from '../catalog/index.ts'
import type { ArtifactSource } from '../catalog/index.ts'
import { asText, entries, field, items, mapOf, valueAt } from './document.ts'
import type { Path } from './document.ts'
import { checkJudges } from './judges.ts'
import { checkMoney } from './money.ts'
import { nearest } from './nearest.ts'
import { clip, problem } from './problem.ts'
import type { SpecProblem } from './problem.ts'
import { registryKinds } from './machines.ts'

export function checkRules(document: unknown): SpecProblem[] {
  const prompts = new Set(['p0', ...entries(document, ['prompts']).map(entry => entry.key)])
  return [
    ...entries(document, ['prompts']).flatMap(({ key, value, path }) => checkPrompt(key, value, path)),
    ...checkMoney(document),
    ...checkJudges(document),
    ...items(document, ['registry']).flatMap(({ value, path }) => checkRegistry(value, path)),
    ...items(document, ['versions']).flatMap(({ value, path }) => [
      ...checkVersionName(value, path, prompts),
      ...checkArtifact(value, path),
      ...checkEngine(value, path),
      ...checkSampling(value, path),
      ...items(document, [...path, 'replicas']).flatMap(replica => checkReplica(replica.value, replica.path, value)),
    ]),
  ]
}

function checkPrompt(id: string, value: unknown, path: Path): SpecProblem[] {
  if (id === 'p0')
    return [problem(path, 'p0 always exists and adds nothing, so it cannot be given a meaning: use another id')]
  if (mapOf(value) === null) return []
  const hasText = field(value, 'text') !== undefined
  const hasFile = field(value, 'file') !== undefined
  if (hasText && hasFile) return [problem(path, 'has both text and file: keep one')]
  return hasText || hasFile ? [] : [problem(path, 'needs text, or file with the path of one')]
}

function checkRegistry(value: unknown, path: Path): SpecProblem[] {
  const kind = asText(field(value, 'kind'))
  if (kind === null || !registryKinds.some(known => known === kind)) return []
  const needed = kind === 'directory' ? 'path' : 'url'
  const other = kind === 'directory' ? 'url' : 'path'
  const isBucket = asText(field(value, 'url'))?.startsWith('s3://') === true
  return [
    // Hugging Face has a usual address.
    ...(field(value, needed) === undefined && kind !== 'hugging-face'
      ? [problem(path, `a registry of kind ${kind} needs ${needed}`)]
      : []),
    ...(field(value, other) === undefined
      ? []
      : [problem([...path, other], `does not belong to a registry of kind ${kind}`)]),
    ...(field(value, 'region') === undefined || kind === 's3'
      ? []
      : [problem([...path, 'region'], `does not belong to a registry of kind ${kind}`)]),
    ...(isBucket && kind !== 's3' ? [problem([...path, 'url'], `does not belong to a registry of kind ${kind}`)] : []),
  ]
}

function checkVersionName(value: unknown, path: Path, prompts: ReadonlySet<string>): SpecProblem[] {
  const name = asText(field(value, 'name'))
  if (name === null) return []
  const at = [...path, 'name']
  const reading = parseVersionName(name)
  if (!reading.ok)
    return [
      problem(
        at,
        `not a version name: at character ${reading.position + 1} expected ${reading.expected}`,
        meantName(name),
      ),
    ]
  const { prompt } = reading.name
  if (prompts.has(prompt)) return []
  return [problem(at, `the name ends in ${prompt}, and no prompt is named ${prompt}`, nearest(prompt, prompts))]
}

/** The same name in the spelling of version names, if that makes it one: lower case, `-` for `_` and `.`, tokens for usual spellings. */
function meantName(name: string): string | null {
  const lower = name.slice(0, 200).toLowerCase().replaceAll('_', '-')
  const parts = /^([a-z][a-z0-9]*-v\d+(?:\.\d+){0,2}(?:-[a-z]+(?:\.\d+)+)?-)(.*)-(p\d+)$/.exec(lower)
  if (parts === null) return null
  const [, left, middle = '', prompt] = parts
  const words = middle.replaceAll('.', '-').split('-')
  for (const count of [3, 2, 1]) {
    const token = toQuantisation(words.slice(-count).join('-'))
    const meant = `${left}${words.slice(0, -count).join('-')}-${token}-${prompt}`
    if (token !== null && meant !== name && parseVersionName(meant).ok) return meant
  }
  return null
}

function checkArtifact(value: unknown, path: Path): SpecProblem[] {
  const from = asText(valueAt(value, ['artifact', 'from']))
  if (from === null) return []
  const at = [...path, 'artifact', 'from']
  const reading = parseArtifactSource(from)
  if (!reading.ok) return [problem(at, reading.problem)]
  const name = parseVersionName(asText(field(value, 'name')) ?? '')
  if (!name.ok) return []
  const told = quantisationsIn(fileOf(reading.source))
  if (told.length === 0 || told.includes(name.name.quantisation)) return []
  return [problem(at, `the file says ${told.join(' ')}, and the version's name says ${name.name.quantisation}`)]
}

/** The name of the weights' file. A whole repository's name tells too little: engines quantise as they load. */
function fileOf(source: ArtifactSource): string {
  switch (source.kind) {
    case 'hf':
      return source.file ?? ''
    case 'file':
      return source.path
    case 'builtin':
      return ''
    default:
      return source satisfies never
  }
}

const embeddedFlags = ['context-size', 'sequences', 'threads']

function checkEngine(value: unknown, path: Path): SpecProblem[] {
  const kind = asText(valueAt(value, ['engine', 'kind']))
  const noArtifact = mapOf(value) !== null && field(value, 'artifact') === undefined
  if (kind !== 'embedded') {
    const started = items(value, ['replicas']).some(
      replica => field(replica.value, 'host') !== undefined && field(replica.value, 'url') === undefined,
    )
    return noArtifact && started
      ? [problem(path, 'needs artifact: Holdfast cannot start an engine without knowing its weights')]
      : []
  }
  return [
    ...(noArtifact
      ? [problem(path, 'needs artifact: the embedded engine runs weights, such as builtin:smoke or file:<path>')]
      : []),
    ...entries(value, ['engine', 'flags']).flatMap(flag => {
      const at = [...path, ...flag.path]
      if (!embeddedFlags.includes(flag.key)) {
        return [
          problem(
            at,
            `the embedded engine has no flag "${clip(flag.key)}"; it has ${embeddedFlags.join(', ')}`,
            nearest(flag.key, embeddedFlags),
          ),
        ]
      }
      const fine = typeof flag.value === 'number' && Number.isSafeInteger(flag.value) && flag.value > 0
      return fine ? [] : [problem(at, 'expected a whole number, at least 1')]
    }),
  ]
}

/** What a request is about cannot be a default. */
const notSampling = ['model', 'messages', 'prompt', 'input', 'stream', 'stream_options', 'user', 'metadata']

function checkSampling(value: unknown, path: Path): SpecProblem[] {
  return entries(value, ['sampling'])
    .filter(entry => notSampling.includes(entry.key))
    .map(entry => problem([...path, ...entry.path], `${entry.key} belongs to the request: it cannot have a default`))
}

function checkReplica(value: unknown, path: Path, version: unknown): SpecProblem[] {
  if (mapOf(value) === null) return []
  const kind = asText(valueAt(version, ['engine', 'kind']))
  const has = (key: string): boolean => field(value, key) !== undefined
  const extra = (keys: string[], why: string): SpecProblem[] =>
    keys.filter(has).map(key => problem([...path, key], why))

  if (kind === 'embedded') {
    return extra(
      ['url', 'apiKey', 'host', 'gpus', 'port', 'runtime'],
      'an embedded replica runs inside Holdfast: leave this out',
    )
  }
  if (has('url'))
    return extra(['port', 'runtime', 'idle'], 'a replica with a url is run by somebody else: leave this out')
  if (kind === 'openai') return [problem(path, 'needs url: an engine of kind openai is run by somebody else')]
  if (!has('host'))
    return [problem(path, 'needs url (of an engine that runs already), or host and port (for one to be started)')]
  return has('port') ? [] : [problem(path, 'needs port: what the engine listens on')]
}
