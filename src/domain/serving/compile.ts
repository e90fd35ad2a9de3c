/** From the spec to what gateways and agents are told: the snapshot, and the embedded engines to run. */
import { ggufFiles, parseArtifactSource, parseVersionName } from '../catalog/index.ts'
import type { Spec, SpecReplica, SpecVersion } from '../spec/index.ts'
import { modelName, replicaId, teamName, versionName } from '../units.ts'
import type { ReplicaId, VersionName } from '../units.ts'
import { canonicalJson } from './canonical.ts'
import type { EngineAssignment } from './link.ts'
import { costRate } from './cost-rate.ts'
import type { FlagSetting } from './flag-settings.ts'
import { embeddedPlaces, placesOf } from './places.ts'
import type {
  Edge,
  FlagRoute,
  ModelRoute,
  Prompt,
  QualityRoute,
  ReleaseRoute,
  ReplicaRoute,
  Snapshot,
  VersionRoute,
} from './snapshot.ts'

/** What releases have made of the spec's models: by model name. One that is not here is as the spec says. */
export type Reality = Readonly<Record<string, ModelReality>>

export type ModelReality = {
  live: VersionName
  /** Those whose engines run besides: a candidate, the old version while the new one bakes. */
  beside: readonly VersionName[]
  /** The live version's engines stand still: there is no room for both, and the other one's turn is now. */
  liveRests: boolean
  release: ReleaseRoute | null
  /** Left out: nobody is there to read what would be sealed. */
  quality?: QualityRoute | null
}

/** What compiling needs from outside. */
export type CompilePorts = {
  /** The Unix socket that an embedded replica answers on. */
  socketFor: (replica: ReplicaId) => string
  /** SHA-256 of a text, as hex. */
  digest: (text: string) => string
  reality?: Reality
  /** Flags that somebody set otherwise than the spec, by name. */
  flags?: ReadonlyMap<string, FlagSetting>
}

/**
 * The routing table of a spec whose references are resolved and whose prompt files are inlined (`readSpecFile` gives one).
 * Versions that no model points at are left out, and so are replicas that Holdfast would have to start on a host:
 * a version may have no replica at all, and its model then answers 503.
 */
export function compileSnapshot(spec: Spec, ports: CompilePorts): Snapshot {
  const { body, inFlight, firstByte, idle, request } = spec.gateway.limits
  const content: Omit<Snapshot, 'id'> = {
    service: spec.name,
    models: spec.models.map(model => toModelRoute(model, ports.reality ?? {})),
    flags: spec.flags.map(flag => toFlagRoute(flag, ports.flags?.get(flag.name))),
    versions: servedVersions(spec, ports.reality).map(version => toVersionRoute(spec, version, ports)),
    limits: { body, inFlight, firstByte, idle, request },
    health: spec.gateway.health,
    edge: toEdge(spec.gateway),
    sharedLimits: spec.gateway.sharedLimits,
    jwt: spec.gateway.jwt,
    maxStale: spec.gateway.maxStale,
    whenUnwritable: spec.capture.whenUnwritable,
  }
  return { id: ports.digest(canonicalJson(content)), ...content }
}

/**
 * The embedded engines to run, for the versions that are served. `digest` covers what the engine's process depends on (weights, engine, flags):
 * a change of prompt, sampling or name alone does not restart it. `pathOf` gets sources as written.
 */
export function engineAssignments(
  spec: Spec,
  { socketFor, digest, reality = {}, pathOf }: CompilePorts & { pathOf: (artifactFrom: string) => string },
): EngineAssignment[] {
  const resting = new Set(Object.values(reality).flatMap(({ live, liveRests }) => (liveRests ? [live] : [])))
  return servedVersions(spec, reality)
    .filter(version => runsEmbedded(version) && !resting.has(versionName(version.name)))
    .flatMap(version => {
      const from = version.artifact?.from ?? ''
      const gguf = pathOf(from)
      const { kind, version: engineVersion, flags } = version.engine
      // What comes with Holdfast is the same in the folder of another release.
      const weights = from.startsWith('builtin:') ? null : gguf
      const depends = digest(canonicalJson({ from, gguf: weights, kind, engineVersion, flags }))
      const registry = spec.registry.find(({ name }) => name === version.artifact?.registry)
      const reading = parseArtifactSource(from)
      const sha256 = reading.ok && reading.source.kind === 'file' ? reading.source.sha256 : null
      return version.replicas.map(({ id }) => ({
        replica: replicaId(id),
        version: versionName(version.name),
        digest: depends,
        socket: socketFor(replicaId(id)),
        gguf,
        source: from.startsWith('hf:') ? from : null,
        ...(registry && { registry }),
        ...(sha256 !== null && { sha256 }),
        context: wholeNumber(flags['context-size']),
        sequences: wholeNumber(flags['sequences']) ?? embeddedPlaces,
        threads: wholeNumber(flags['threads']),
      }))
    })
}

/**
 * What a version is, as one text: two versions with the same identity answer alike. Artifact, quantisation, chat template,
 * engine, sampling and prompt count; replicas, registry, description and what the engine calls it do not.
 */
export function versionIdentity(spec: Spec, version: SpecVersion): string {
  const { kind, version: engineVersion, flags } = version.engine
  const { text, mode } = promptOf(spec, version)
  return canonicalJson({
    artifact: version.artifact?.from ?? null,
    quantisation: partsOf(version).quantisation,
    chatTemplate: version.chatTemplate,
    engine: { kind, version: engineVersion ?? null, flags },
    sampling: version.sampling,
    prompt: { text, mode: text === '' ? null : mode },
  })
}

/** By what the files hold (SHA-256): where they came from is no part of what a published version is. `chatTemplate` null: the artifact's. */
export function publishedIdentity(
  spec: Spec,
  version: SpecVersion,
  { artifact, chatTemplate }: { artifact: string; chatTemplate: string | null },
): string {
  return versionIdentity(spec, {
    ...version,
    artifact: { from: `sha256:${artifact}` },
    ...(chatTemplate === null ? {} : { chatTemplate: `sha256:${chatTemplate}` }),
  })
}

/** Those that a model points at or a release tries, each once, in the spec's order. */
export function servedVersions(spec: Spec, reality: Reality = {}): SpecVersion[] {
  const served = new Set(
    spec.models.flatMap(({ name, live }): string[] => {
      const real = reality[name]
      return real === undefined ? [live] : [real.live, ...real.beside]
    }),
  )
  return spec.versions.filter(version => served.has(version.name))
}

function toModelRoute(model: Spec['models'][number], reality: Reality): ModelRoute {
  const { name, live, queue, routing, fallbacks, contextFallbacks, limits } = model
  const real = reality[name]
  return {
    name: modelName(name),
    live: real?.live ?? versionName(live),
    release: real?.release ?? null,
    quality: real?.quality ?? null,
    queue,
    routing,
    fallbacks: fallbacks.map(modelName),
    contextFallbacks: contextFallbacks.map(modelName),
    limits: limits ?? null,
  }
}

function toFlagRoute({ name, teams, share, answers }: Spec['flags'][number], set: FlagSetting | undefined): FlagRoute {
  return {
    name,
    teams: set?.teams ?? teams.map(teamName),
    share: set?.share ?? share,
    answers: answers === undefined ? null : { model: modelName(answers.model), by: modelName(answers.by) },
  }
}

function toEdge({ trustedProxies, perAddress, tls }: Spec['gateway']): Edge {
  return {
    trustedProxies,
    perAddress: {
      requestsPerMinute: perAddress?.requestsPerMinute ?? null,
      connections: perAddress?.connections ?? null,
    },
    tls: tls === undefined ? null : { cert: tls.cert, key: tls.key, clientCa: tls.clientCa ?? null },
  }
}

function toVersionRoute(spec: Spec, version: SpecVersion, ports: CompilePorts): VersionRoute {
  return {
    name: versionName(version.name),
    engine: version.engine.kind,
    servedName: version.engine.servedName ?? null,
    task: version.engine.task,
    prompt: promptOf(spec, version),
    sampling: version.sampling,
    replicas: version.replicas.flatMap(replica => toReplicaRoute(version, replica, ports)),
    cost: costRate(spec, version),
  }
}

function toReplicaRoute(version: SpecVersion, replica: SpecReplica, { socketFor }: CompilePorts): ReplicaRoute[] {
  const id = replicaId(replica.id)
  const { backup, weight } = replica
  const places = placesOf(version)
  if (version.engine.kind === 'embedded') {
    if (!runsEmbedded(version)) return []
    return [
      { id, address: { socket: socketFor(id) }, metrics: null, apiKey: null, backup, weight, places, managed: true },
    ]
  }
  if (replica.url === undefined) return []
  return [
    {
      id,
      address: { url: replica.url.replace(/\/+$/, '') },
      metrics: replica.metrics ?? null,
      apiKey: replica.apiKey ?? null,
      backup,
      weight,
      places,
      managed: false,
    },
  ]
}

/** Nothing can be started from a whole repository, or from what is no GGUF. */
function runsEmbedded(version: SpecVersion): boolean {
  const reading = parseArtifactSource(version.artifact?.from ?? '')
  if (version.engine.kind !== 'embedded' || !reading.ok) return false
  return reading.source.kind !== 'hf' || ggufFiles(reading.source).ok
}

function promptOf(spec: Spec, version: SpecVersion): Prompt {
  const id = partsOf(version).prompt
  if (id === 'p0') return { id, text: '', mode: 'prepend' }
  const prompt = spec.prompts[id]
  if (prompt?.text === undefined) throw new Error(`the prompt ${id} has no text: inline prompt files before compiling`)
  return { id, text: prompt.text, mode: prompt.mode }
}

function partsOf(version: SpecVersion) {
  const reading = parseVersionName(version.name)
  if (!reading.ok) throw new Error(`${version.name} is not a version name: parse the spec before compiling`)
  return reading.name
}

const wholeNumber = (value: unknown): number | null =>
  typeof value === 'number' && Number.isSafeInteger(value) ? value : null
