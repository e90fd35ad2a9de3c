/** What a schema cannot see: that every name which is used exists, and is given once. Looks at the document as written. */
import { asText, entries, field, items, mapOf, printPath, valueAt } from './document.ts'
import type { Path } from './document.ts'
import { nearest } from './nearest.ts'
import { clip, problem } from './problem.ts'
import type { SpecProblem } from './problem.ts'

/** The model that is served when the spec has none. */
export const defaultModel = 'smoke'

/** Every name that is used but not given, or given twice. Works on documents that have other problems too. */
export function checkReferences(document: unknown): SpecProblem[] {
  const models = new Set(
    items(document, ['models'])
      .map(entry => entry.value)
      .map(nameOf)
      .filter(name => name !== null),
  )
  if (items(document, ['models']).length === 0) models.add(defaultModel)
  const versions = namesIn(document, ['versions'])
  const teams = namesIn(document, ['teams'])
  const registries = namesIn(document, ['registry'])
  const releases = new Set(entries(document, ['releases']).map(entry => entry.key))

  const one = (path: Path, known: ReadonlySet<string>, what: string) => refer(document, path, { known, what })
  const each = (path: Path, known: ReadonlySet<string>, what: string) =>
    items(document, path).flatMap(entry => one(entry.path, known, what))

  return [
    ...duplicates(document),
    ...items(document, ['versions']).flatMap(({ path }) => [
      ...one([...path, 'artifact', 'registry'], registries, 'registry'),
      ...items(document, [...path, 'replicas']).flatMap(replica => checkPlace(document, replica.path)),
    ]),
    ...items(document, ['models']).flatMap(({ path, value }) => [
      ...one([...path, 'live'], versions, 'version'),
      ...one([...path, 'release'], releases, 'release policy'),
      ...one([...path, 'quality', 'judge'], models, 'model'),
      ...each([...path, 'fallbacks'], models, 'model'),
      ...items(document, [...path, 'fallbacks'])
        .filter(fallback => fallback.value === nameOf(value))
        .map(fallback => problem(fallback.path, 'a model cannot be its own fallback')),
    ]),
    ...entries(document, ['releases']).flatMap(({ path }) => [
      ...one([...path, 'shadow', 'judge'], models, 'model'),
      ...one([...path, 'golden', 'judge'], models, 'model'),
      ...one([...path, 'golden', 'embed'], models, 'model'),
    ]),
    ...items(document, ['flags']).flatMap(({ path }) => [
      ...each([...path, 'teams'], teams, 'team'),
      ...one([...path, 'answers', 'model'], models, 'model'),
      ...one([...path, 'answers', 'by'], models, 'model'),
    ]),
    ...items(document, ['teams']).flatMap(({ path }) => each([...path, 'models'], models, 'model')),
    ...one(['rag', 'embed'], models, 'model'),
    ...items(document, ['rag', 'collections']).flatMap(({ path }) => each([...path, 'teams'], teams, 'team')),
  ]
}

const nameOf = (value: unknown): string | null => asText(field(value, 'name'))

const namesIn = (document: unknown, path: Path): Set<string> =>
  new Set(
    items(document, path)
      .map(entry => nameOf(entry.value))
      .filter(name => name !== null),
  )

/** What stands at `path` must be one of the known names. */
function refer(
  document: unknown,
  path: Path,
  { known, what }: { known: ReadonlySet<string>; what: string },
): SpecProblem[] {
  const used = asText(valueAt(document, path))
  if (used === null || known.has(used)) return []
  const given = known.size === 0 ? ` (there is none)` : ''
  return [problem(path, `no ${what} is named "${clip(used)}"${given}`, nearest(used, known))]
}

/** A replica's host, and the GPUs of that host. */
function checkPlace(document: unknown, path: Path): SpecProblem[] {
  const hostPath = [...path, 'host']
  const wrong = refer(document, hostPath, { known: namesIn(document, ['hosts']), what: 'host' })
  const name = asText(valueAt(document, hostPath))
  if (wrong.length > 0 || name === null) return wrong
  const host = items(document, ['hosts']).find(entry => nameOf(entry.value) === name)
  const gpus = new Set(
    items(host?.value, ['gpus'])
      .map(gpu => asText(field(gpu.value, 'id')))
      .filter(id => id !== null),
  )
  return items(document, [...path, 'gpus']).flatMap(gpu =>
    refer(document, gpu.path, { known: gpus, what: `GPU of ${name}` }),
  )
}

function duplicates(document: unknown): SpecProblem[] {
  const replicas = items(document, ['versions']).flatMap(({ path }) => items(document, [...path, 'replicas']))
  const listed = ['models', 'versions', 'hosts', 'teams', 'registry', 'flags'].flatMap(section =>
    repeated(items(document, [section]), 'name'),
  )
  return [
    ...listed,
    ...items(document, ['hosts']).flatMap(({ path }) => repeated(items(document, [...path, 'gpus']), 'id')),
    ...repeated(replicas, 'id'),
    ...repeated(items(document, ['rag', 'collections']), 'name'),
    ...repeated(items(document, ['tunnel', 'peers']), 'name'),
    ...samePorts(replicas),
  ]
}

type Item = { value: unknown; path: Path }

function repeated(list: readonly Item[], key: string): SpecProblem[] {
  const first = new Map<string, Path>()
  return list.flatMap(({ value, path }) => {
    const name = asText(field(value, key))
    if (name === null) return []
    const before = first.get(name)
    if (before !== undefined)
      return [problem([...path, key], `"${clip(name)}" is already the ${key} of ${printPath(before)}`)]
    first.set(name, path)
    return []
  })
}

function samePorts(replicas: readonly Item[]): SpecProblem[] {
  const first = new Map<string, Path>()
  return replicas.flatMap(({ value, path }) => {
    const host = asText(field(value, 'host'))
    const port = mapOf(value)?.get('port')
    if (host === null || typeof port !== 'number') return []
    const before = first.get(`${port} ${host}`)
    if (before !== undefined)
      return [problem([...path, 'port'], `port ${port} of ${host} is already taken by ${printPath(before)}`)]
    first.set(`${port} ${host}`, path)
    return []
  })
}
