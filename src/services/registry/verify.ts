/** Verify: every byte is read and hashed again, and everything that names it is computed again. */
import { createHash } from 'node:crypto'
import { ArtifactError, blobPath, readRegistryPath, versionPath, type HubSource } from '../../domain/catalog/index.ts'
import { readContents, type RegistryContents } from './contents.ts'
import { patiently, withPatience } from './patience.ts'
import type { ListedObject, ObjectPlace, RegistryClock } from './ports.ts'
import type { OnRegistryProgress } from './progress.ts'
import { several } from './several.ts'

export type Finding = {
  path: string
  problem: 'missing' | 'wrong length' | 'wrong digest' | 'unreadable'
  /** What was found, as a sentence. */
  say: string
  /** Versions and sources that need it. */
  neededBy: string[]
}

export type Verification = { versions: number; sources: number; files: number; bytes: number; findings: Finding[] }

export type VerifyScope = { kind: 'all' } | { kind: 'version'; name: string } | { kind: 'source'; source: HubSource }

export type VerifyOrder = { clock: RegistryClock; signal: AbortSignal; onProgress: OnRegistryProgress }

const filesAtOnce = 4

/** Throws ArtifactError when the registry does not have what `scope` names. */
export async function verifyRegistry(
  anyPlace: ObjectPlace,
  scope: VerifyScope,
  order: VerifyOrder,
): Promise<Verification> {
  const place = withPatience(anyPlace, order.clock)
  const contents = await readContents(place, order.signal)
  const { needed, versions, sources, damaged } = namedIn(contents, { place, scope })
  const there = new Map(contents.objects.map(object => [object.path, object]))
  const missing: Finding[] = []
  const wrong: Finding[] = []
  const objects =
    scope.kind === 'all' ? contents.objects.filter(({ path }) => readRegistryPath(path).kind === 'blob') : []
  for (const [sha256, { bytes, neededBy }] of needed) {
    const path = blobPath(sha256)
    const object = there.get(path)
    if (object === undefined)
      missing.push({ path, problem: 'missing', say: `it is not there`, neededBy: [...neededBy] })
    else if (object.bytes !== bytes)
      wrong.push({
        ...{ path, problem: 'wrong length', neededBy: [...neededBy] },
        say: `it has ${object.bytes} bytes and should have ${bytes}`,
      })
    else if (scope.kind !== 'all') objects.push(object)
  }
  const known = new Set(wrong.map(({ path }) => path))
  const read = objects.filter(({ path }) => !known.has(path))
  const hashed = await hashAll(
    place,
    read.map(object => ({ object, expected: digestIn(object.path) })),
    order,
  )
  const findings = [...damaged, ...missing, ...wrong, ...hashed].map(finding => ({
    ...finding,
    neededBy: [...(needed.get(digestIn(finding.path).hex)?.neededBy ?? finding.neededBy)],
  }))
  return { versions, sources, files: read.length, bytes: read.reduce((sum, { bytes }) => sum + bytes, 0), findings }
}

/** The artifacts of a host: `sha256/<hex>`, `git-sha1/<hex>`. `only`: these of them. */
export async function verifyStore(
  anyPlace: ObjectPlace,
  only: ReadonlySet<string> | null,
  order: VerifyOrder,
): Promise<Verification> {
  const place = withPatience(anyPlace, order.clock)
  const objects: ListedObject[] = []
  for (const folder of ['sha256/', 'git-sha1/'])
    for await (const object of place.list(folder, order.signal))
      if (/^(sha256\/[0-9a-f]{64}|git-sha1\/[0-9a-f]{40})$/.test(object.path) && only?.has(object.path) !== false)
        objects.push(object)
  const findings = await hashAll(
    place,
    objects.map(object => ({ object, expected: digestIn(object.path) })),
    order,
  )
  const bytes = objects.reduce((sum, each) => sum + each.bytes, 0)
  return { versions: 0, sources: 0, files: objects.length, bytes, findings }
}

type Named = Map<string, { bytes: number; neededBy: Set<string> }>

function namedIn(
  { versions, mirrored, unreadable }: RegistryContents,
  { place, scope }: { place: ObjectPlace; scope: VerifyScope },
): { needed: Named; versions: number; sources: number; damaged: Finding[] } {
  const isVersion = (name: string): boolean => scope.kind === 'all' || (scope.kind === 'version' && scope.name === name)
  const isSource = (repository: string, commit: string): boolean =>
    scope.kind === 'all' ||
    (scope.kind === 'source' && scope.source.repository === repository && commit.startsWith(scope.source.commit))
  const needed: Named = new Map()
  const need = (by: string, { bytes, sha256 }: { bytes: number; sha256: string }): void => {
    const known = needed.get(sha256) ?? { bytes, neededBy: new Set() }
    known.neededBy.add(by)
    needed.set(sha256, known)
  }
  const chosen = versions.filter(({ name }) => isVersion(name))
  for (const { name, artifact } of chosen) for (const file of artifact.files) need(name, file)
  const files = mirrored.filter(
    ({ repository, commit, path }) =>
      isSource(repository, commit) &&
      (scope.kind !== 'source' || scope.source.file === null || scope.source.file === path),
  )
  const sources = new Set(files.map(({ repository, commit }) => `hf:${repository}@${commit}`))
  for (const { repository, commit, is } of files) need(`hf:${repository}@${commit}`, is)
  const damaged = unreadable
    .filter(({ path }) => {
      const at = readRegistryPath(path)
      return (
        (at.kind === 'version' && isVersion(at.name)) || (at.kind === 'source' && isSource(at.repository, at.commit))
      )
    })
    .map(({ path, problem }): Finding => ({ path, problem: 'unreadable', say: problem, neededBy: [] }))
  if (scope.kind !== 'all' && chosen.length + files.length + damaged.length === 0)
    throw new ArtifactError(
      'never',
      scope.kind === 'version'
        ? `${place.name} has no ${versionPath(scope.name)}: 'holdfast model list' shows what it has`
        : `${place.name} has nothing of ${scope.source.repository}@${scope.source.commit}: 'holdfast model list' shows what it has`,
    )
  return { needed, versions: chosen.length, sources: sources.size, damaged }
}

type Expected = { algorithm: 'sha256' | 'git-sha1'; hex: string }
type Hashing = { object: ListedObject; expected: Expected }

async function hashAll(
  place: ObjectPlace,
  items: readonly Hashing[],
  { clock, signal, onProgress }: VerifyOrder,
): Promise<Finding[]> {
  const totalBytes = items.reduce((sum, { object }) => sum + object.bytes, 0)
  const done = items.map(() => 0)
  const findings = await several(items, filesAtOnce, async (item, at): Promise<Finding[]> => {
    const { path } = item.object
    const note = (doneBytes: number): void => {
      done[at] = doneBytes
      onProgress({ stage: 'verifying', doneBytes: done.reduce((a, b) => a + b, 0), totalBytes, why: null })
    }
    try {
      const hex = await patiently(() => hashOf(place, { ...item, note }, signal), { clock, signal })
      if (hex === item.expected.hex) return []
      return [{ path, problem: 'wrong digest', say: `its ${item.expected.algorithm} is ${hex}`, neededBy: [] }]
    } catch (error) {
      signal.throwIfAborted()
      if (!(error instanceof ArtifactError)) throw error
      return [{ path, problem: 'unreadable', say: error.message, neededBy: [] }]
    }
  })
  return findings.flat()
}

async function hashOf(
  place: ObjectPlace,
  { object, expected, note }: Hashing & { note: (doneBytes: number) => void },
  signal: AbortSignal,
): Promise<string> {
  const hash =
    expected.algorithm === 'sha256' ? createHash('sha256') : createHash('sha1').update(`blob ${object.bytes}\0`)
  let done = 0
  if (object.bytes > 0)
    for await (const piece of place.read(object.path, { from: 0, to: object.bytes }, signal)) {
      signal.throwIfAborted()
      hash.update(piece)
      done += piece.length
      note(done)
    }
  return hash.digest('hex')
}

/** Paths of files by digest end in it. */
function digestIn(path: string): Expected {
  const hex = path.slice(path.lastIndexOf('/') + 1)
  return { algorithm: hex.length === 40 ? 'git-sha1' : 'sha256', hex }
}
