/** Publish: gives a version's name its meaning for ever. Of several publishers one wins, and the others are told what it wrote. */
import {
  ArtifactError,
  artifactListing,
  largestDocument,
  readRegistryPath,
  versionPath,
  type PublishedVersion,
} from '../../domain/catalog/index.ts'
import { identityDifferences, nextFreeName, publishedIdentity } from '../../domain/serving/index.ts'
import type { Spec, SpecVersion } from '../../domain/spec/index.ts'
import type { DigestedFile } from './digest-files.ts'
import { readVersion, sha256Of } from './documents.ts'
import { nameMirrored, type Mirror } from './mirror.ts'
import { withPatience } from './patience.ts'
import type { ObjectPlace } from './ports.ts'
import { pushFiles, type Pushed, type PushOrder } from './push.ts'

export type PublishOrder = Omit<PushOrder<unknown>, 'files' | 'settle'> & {
  spec: Spec
  version: SpecVersion
  files: readonly DigestedFile[]
  /** SHA-256 of the file that the version names as its chat template; `null`: that of the artifact. */
  chatTemplate: string | null
  /** Where the files are a hub's, under a whole commit: other hosts find them by it. */
  mirror: Mirror['source'] | null
}

export type Published =
  | ({ outcome: 'published' | 'already'; version: PublishedVersion } & Omit<Pushed<unknown>, 'settled'>)
  /** The name means something else already. */
  | { outcome: 'taken'; version: PublishedVersion; differences: string[]; free: string }

export async function publishVersion(anyPlace: ObjectPlace, order: PublishOrder): Promise<Published> {
  const { spec, version, files, mirror, clock, signal } = order
  const place = withPatience(anyPlace, clock)
  const wanted = toPublished(order)
  // Before gigabytes are sent for nothing.
  const before = await readVersion(place, version.name, signal)
  if (before !== null && differ(before, wanted).length > 0) return taken(place, { before, wanted, spec }, signal)

  // What was published before is sent, too, as far as it is missing: that mends a registry which lost it.
  const { settled, sent, kept } = await pushFiles(anyPlace, {
    ...order,
    settle: async (there): Promise<PublishedVersion | null> => {
      if (mirror !== null) await nameMirrored(there, { source: mirror, files }, signal)
      if (before !== null) return before
      const path = versionPath(version.name)
      return (await there.create(path, toDocument(wanted), signal)) === 'created'
        ? null
        : readVersion(there, version.name, signal)
    },
  })
  if (settled === null) return { outcome: 'published', version: wanted, sent, kept }
  if (differ(settled, wanted).length > 0) return taken(place, { before: settled, wanted, spec }, signal)
  return { outcome: 'already', version: settled, sent, kept }
}

function toPublished({ spec, version, files, chatTemplate, clock }: PublishOrder): PublishedVersion {
  const artifact = {
    digest: sha256Of(artifactListing(files)),
    files: files.map(({ path, bytes, sha256 }) => ({ path, bytes, sha256 })),
  }
  const identity = publishedIdentity(spec, version, { artifact: artifact.digest, chatTemplate })
  return {
    ...{ schema: 1, name: version.name, digest: sha256Of(identity), identity },
    ...{ from: version.artifact?.from ?? '', artifact, publishedAt: clock.now().toISOString() },
  }
}

function toDocument(version: PublishedVersion): Uint8Array {
  const content = new TextEncoder().encode(`${JSON.stringify(version)}\n`)
  if (content.length <= largestDocument) return content
  throw new ArtifactError(
    'never',
    `${version.name} has ${version.artifact.files.length} files, with its prompt and flags more than a registry keeps of one version (1 MiB): name a folder with fewer files`,
  )
}

/** Where two meanings of one name are not the same; of files as many as people read. */
function differ(before: PublishedVersion, now: PublishedVersion): string[] {
  if (before.digest === now.digest) return []
  const places = identityDifferences(before.identity, now.identity)
  return before.artifact.digest === now.artifact.digest ? places : [...places, ...differentFiles(before, now)]
}

const mostFilesTold = 5

function differentFiles(before: PublishedVersion, now: PublishedVersion): string[] {
  const [old, here] = [before, now].map(({ artifact }) => new Map(artifact.files.map(file => [file.path, file.sha256])))
  const paths = [...new Set([...(old?.keys() ?? []), ...(here?.keys() ?? [])])].filter(
    path => old?.get(path) !== here?.get(path),
  )
  const say = (sha256: string | undefined): string => (sha256 === undefined ? 'not there' : `${sha256.slice(0, 12)}…`)
  const told = paths
    .slice(0, mostFilesTold)
    .map(path => `${path} was ${say(old?.get(path))} and is ${say(here?.get(path))}`)
  return paths.length > told.length ? [...told, `and ${paths.length - told.length} more files`] : told
}

type Conflict = { before: PublishedVersion; wanted: PublishedVersion; spec: Spec }

async function taken(place: ObjectPlace, { before, wanted, spec }: Conflict, signal: AbortSignal): Promise<Published> {
  const names = new Set(spec.versions.map(({ name }) => name))
  for await (const { path } of place.list('versions/', signal)) {
    const is = readRegistryPath(path)
    if (is.kind === 'version') names.add(is.name)
  }
  return {
    outcome: 'taken',
    version: before,
    differences: differ(before, wanted),
    free: nextFreeName(wanted.name, names),
  }
}
