/** What a registry has, in short. */
import { readRegistryPath } from '../../domain/catalog/index.ts'
import { readContents } from './contents.ts'
import { withPatience } from './patience.ts'
import type { ObjectPlace, RegistryClock } from './ports.ts'

export type RegistrySummary = {
  versions: { name: string; digest: string; bytes: number; files: number; from: string; publishedAt: string }[]
  /** Files of a hub, by commit. */
  sources: { source: string; files: number; bytes: number }[]
  /** Blobs that neither of those names. */
  unnamed: { files: number; bytes: number }
  unreadable: { path: string; problem: string }[]
  /** What is there and is none of ours. */
  foreign: string[]
}

export async function summarise(
  anyPlace: ObjectPlace,
  { clock, signal }: { clock: RegistryClock; signal: AbortSignal },
): Promise<RegistrySummary> {
  const { objects, versions, mirrored, unreadable } = await readContents(withPatience(anyPlace, clock), signal)
  const named = new Set([
    ...versions.flatMap(({ artifact }) => artifact.files.map(({ sha256 }) => sha256)),
    ...mirrored.map(({ is }) => is.sha256),
  ])
  const unnamed = objects.filter(({ path }) => {
    const at = readRegistryPath(path)
    return at.kind === 'blob' && !named.has(at.sha256)
  })
  const bySource = Map.groupBy(mirrored, ({ repository, commit }) => `hf:${repository}@${commit}`)
  return {
    versions: versions.map(({ name, digest, artifact, from, publishedAt }) => ({
      ...{ name, digest, bytes: sum(artifact.files), files: artifact.files.length, from, publishedAt },
    })),
    sources: [...bySource].map(([source, files]) => ({
      ...{ source, files: files.length, bytes: sum(files.map(({ is }) => is)) },
    })),
    unnamed: { files: unnamed.length, bytes: sum(unnamed) },
    unreadable,
    foreign: objects.map(({ path }) => path).filter(path => readRegistryPath(path).kind === 'foreign'),
  }
}

const sum = (files: readonly { bytes: number }[]): number => files.reduce((total, { bytes }) => total + bytes, 0)
