/** A version by its name: what a registry says that it is, held against what the spec says. */
import { createHash } from 'node:crypto'
import {
  ArtifactError,
  ggufFiles,
  parseArtifactSource,
  type HubSource,
  type PublishedVersion,
} from '../../../domain/catalog/index.ts'
import { identityDifferences, publishedIdentity } from '../../../domain/serving/index.ts'
import type { Spec, SpecRegistry, SpecVersion } from '../../../domain/spec/index.ts'
import { openRegistrySource, readVersion, type ObjectPlace } from '../../../services/registry/index.ts'
import { openRegistryPlace } from '../../registries.ts'
import { templateDigest } from './artifact.ts'
import type { PullOrder, PullWorld } from './pull-world.ts'

/** In no registry, and the spec says where else its weights are. */
export type Unpublished = { source: HubSource; registry: SpecRegistry | null }

/** Throws ArtifactError: nobody has it, or it is not what the spec says. */
export async function publishedVersion(name: string, world: PullWorld): Promise<PullOrder | Unpublished> {
  const { spec, named, registries } = world
  const own = spec?.versions.find(each => each.name === name) ?? null
  const kept = registries.find(each => each.name === own?.artifact?.registry) ?? null
  const first = named ?? kept
  const asked = first === null ? registries : [first]
  const found = await find(name, asked, world)
  if (found === null) return unpublished(name, { own, asked, kept })
  const { version, place, registry } = found
  if (spec !== null && own !== null) await checkMeaning(version, { ...world, spec, own, registry })
  return toOrder(version, { place, registry, world })
}

type Found = { version: PublishedVersion; place: ObjectPlace; registry: SpecRegistry }

async function find(name: string, asked: readonly SpecRegistry[], world: PullWorld): Promise<Found | null> {
  for (const registry of asked) {
    const place = openRegistryPlace(registry, world)
    const version = place === null ? null : await readVersion(place, name, world.signal)
    if (place !== null && version !== null) return { version, place, registry }
  }
  return null
}

function toOrder(
  { name, from, artifact }: PublishedVersion,
  { place, registry: { name: registryName }, world }: { place: ObjectPlace; registry: SpecRegistry; world: PullWorld },
): PullOrder {
  const { store, fetchArtifact } = world
  const source = { kind: 'version' as const, name }
  const files = artifact.files.map(({ path }) => path)
  const registry = openRegistrySource(place)
  const hub = hubOf(from)
  return {
    ...{ source, files, leftOut: [], from: `the registry '${registryName}'`, isWhole: true },
    async fetch(by) {
      await fetchArtifact({ source, files, registry, ...by })
      // Who starts an engine looks for it where the spec has it from.
      for (const { path, bytes, sha256: hex } of hub === null ? [] : artifact.files)
        await store.name(hub ?? source, {
          ...{ repository: name, commit: '', path, bytes },
          digest: { algorithm: 'sha256', hex },
        })
    },
  }
}

function unpublished(
  name: string,
  { own, asked, kept }: { own: SpecVersion | null; asked: readonly SpecRegistry[]; kept: SpecRegistry | null },
): Unpublished {
  const source = hubOf(own?.artifact?.from ?? '')
  if (source !== null) return { source: withParts(source), registry: kept }
  const places = asked.map(each => `'${each.name}'`).join(', ')
  throw new ArtifactError(
    'never',
    own === null
      ? `no registry has ${name} (looked in ${places}), and the spec has no such version: see holdfast model list`
      : `${name} is not published (looked in ${places}), and its artifact is ${own.artifact?.from ?? 'not named'}, ` +
          `which is not fetched: run holdfast model push ${name} where the file is`,
  )
}

/** The first part stands for all of them. */
function withParts(source: HubSource): HubSource {
  const gguf = source.file === null ? null : ggufFiles(source)
  return gguf?.ok === true ? { ...source, file: gguf.files[0] } : source
}

type Meaning = PullWorld & { spec: Spec; own: SpecVersion; registry: SpecRegistry }

async function checkMeaning(published: PublishedVersion, { spec, own, registry, folder }: Meaning): Promise<void> {
  const chatTemplate = await templateDigest(own, { folder })
  const identity = publishedIdentity(spec, own, { artifact: published.artifact.digest, chatTemplate })
  const differences = [
    ...(sha256Of(identity) === published.digest ? [] : identityDifferences(published.identity, identity)),
    ...differentSources(published.from, own.artifact?.from ?? ''),
  ]
  if (differences.length === 0) return
  throw new ArtifactError(
    'never',
    `${own.name} of the registry '${registry.name}' is not what the spec says: ${differences.join('; ')}. ` +
      `Nothing was fetched. A version's name keeps its meaning: give the spec's version a new one`,
  )
}

/** A commit may be abbreviated. */
function differentSources(before: string, now: string): string[] {
  const [old, own] = [hubOf(before), hubOf(now)]
  if (old === null || own === null) return []
  const sameCommit = old.commit.startsWith(own.commit) || own.commit.startsWith(old.commit)
  if (sameCommit && old.repository === own.repository && old.file === own.file) return []
  return [`artifact.from was ${before} and is ${now}`]
}

function hubOf(from: string): HubSource | null {
  const reading = parseArtifactSource(from)
  return reading.ok && reading.source.kind === 'hf' ? reading.source : null
}

const sha256Of = (text: string): string => createHash('sha256').update(text).digest('hex')
