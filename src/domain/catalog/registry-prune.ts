/** What a registry may lose: only what nothing names, and only after nobody can be about to name it. */
import { parseArtifactSource } from './artifact.ts'
import { readRegistryPath } from './registry-layout.ts'

export type PruneQuestion = {
  /** Everything that is there. */
  objects: readonly { path: string; bytes: number; ageMs: number }[]
  versions: readonly { from: string; sha256: readonly string[] }[]
  /** By the path of its document: the blob that a mirrored file is. */
  mirrored: ReadonlyMap<string, string>
  /** Blobs that running pushes have, or count on. */
  leased: ReadonlySet<string>
  /** Mirrored sources go too, unless a version was published from them. */
  withSources: boolean
}

export type PruneReason = 'blob' | 'source' | 'push' | 'leftover'
export type Prunable = { path: string; bytes: number; why: PruneReason }

/** Whoever writes has this long for naming what was written. */
export const graceMs = 24 * 3_600_000

/** In the order in which it is to be removed: names before what they name. `young`: unnamed, and not for long enough. */
export function decidePrune(question: PruneQuestion): { remove: Prunable[]; young: { files: number; bytes: number } } {
  const { objects, versions, mirrored, leased } = question
  const sources = objects.filter(({ path }) => mirrored.has(path))
  const gone = new Set(question.withSources ? forgettable(sources, question) : [])
  const named = new Set([
    ...leased,
    ...versions.flatMap(({ sha256 }) => sha256),
    ...[...mirrored].filter(([path]) => !gone.has(path)).map(([, sha256]) => sha256),
  ])
  const because = (path: string): PruneReason | null => {
    const is = readRegistryPath(path)
    switch (is.kind) {
      case 'blob':
        return named.has(is.sha256) ? null : 'blob'
      case 'source':
        return gone.has(path) ? 'source' : null
      case 'push':
      case 'prune':
        return 'push'
      case 'leftover':
        return 'leftover'
      case 'version':
      case 'foreign':
        return null
      default:
        return is satisfies never
    }
  }
  const unnamed = objects.flatMap(({ path, bytes, ageMs }) => {
    const why = because(path)
    return why === null ? [] : [{ path, bytes, why, ageMs }]
  })
  const young = unnamed.filter(({ ageMs, why }) => ageMs < graceMs && why === 'blob')
  return {
    remove: unnamed
      .filter(({ ageMs }) => ageMs >= graceMs)
      .map(({ path, bytes, why }) => ({ path, bytes, why }))
      .toSorted((a, b) => order[a.why] - order[b.why]),
    young: { files: young.length, bytes: young.reduce((sum, { bytes }) => sum + bytes, 0) },
  }
}

const order: Readonly<Record<PruneReason, number>> = { source: 0, blob: 1, leftover: 2, push: 3 }

/** The documents of sources that no version came from, that nobody writes to, and that no push counts on. */
function forgettable(sources: PruneQuestion['objects'], { versions, mirrored, leased }: PruneQuestion): string[] {
  const origins = versions.flatMap(({ from }) => {
    const reading = parseArtifactSource(from)
    return reading.ok && reading.source.kind === 'hf' ? [reading.source] : []
  })
  const bySource = new Map<string, PruneQuestion['objects'][number][]>()
  for (const object of sources) {
    const is = readRegistryPath(object.path)
    const source = is.kind === 'source' ? `${is.repository}@${is.commit}` : ''
    const others = bySource.get(source)
    if (others === undefined) bySource.set(source, [object])
    else others.push(object)
  }
  return [...bySource].flatMap(([source, documents]) => {
    const wanted =
      origins.some(({ repository, commit }) => source.startsWith(`${repository}@${commit}`)) ||
      documents.some(({ path, ageMs }) => ageMs < graceMs || leased.has(mirrored.get(path) ?? ''))
    return wanted ? [] : documents.map(({ path }) => path)
  })
}
