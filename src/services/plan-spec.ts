/** Plan spec: gathers what is known of a spec's machines and models, and has the fleet planned. */
import { keyOf, knownFacts, parseLoadLog, planFleet, requantised } from '../domain/capacity/index.ts'
import type { Finding, KnownFacts, Plan, Profile, StatedHost, Workload } from '../domain/capacity/index.ts'
import { ArtifactError, parseArtifactSource, parseVersionName } from '../domain/catalog/index.ts'
import type { ArtifactSource, ModelFacts, Quantisation } from '../domain/catalog/index.ts'
import type { Spec, SpecReplica, SpecVersion } from '../domain/spec/index.ts'

/** What planning asks of the machine it runs on. */
export type PlanPorts = {
  /** Reads the headers of weights that are here; `null`: they are not. Throws ArtifactError for files that can't be read. */
  readFacts: (source: ArtifactSource) => Promise<ModelFacts | null>
  /** The path that a spec's `file:` means. */
  resolvePath: (path: string) => string
  profiles: readonly Profile[]
  /** Main memory of this machine, for what runs inside Holdfast where the spec names no machines. */
  memoryHere: number
}

export async function planSpec(spec: Spec, ports: PlanPorts): Promise<Plan> {
  const { workloads, findings } = await gather(spec, ports)
  const hosts = spec.hosts.map(toHost)
  const isHere = hosts.length === 0 && workloads.some(workload => workload.engine.kind === 'embedded')
  const plan = planFleet({ hosts: isHere ? [thisMachine(ports.memoryHere)] : hosts, workloads })
  return { ...plan, findings: [...findings, ...plan.findings] }
}

/** The profile that an engine's log gives of one replica, where the plan puts it. Throws ProfileError with what is wrong. */
export async function profileOf(
  spec: Spec,
  ports: PlanPorts,
  { replica, log, source }: { replica: string; log: string; source: string },
): Promise<Profile> {
  const { workloads } = await gather(spec, ports)
  const workload = workloads.find(each => each.replica === replica)
  if (workload === undefined)
    throw new ProfileError(
      `no replica is named ${replica}; the spec has ${workloads.map(each => each.replica).join(', ') || 'none that runs on a host'}`,
    )
  const measured = parseLoadLog(log)
  if (measured === null)
    throw new ProfileError(
      `${source} has no line of llama.cpp's («… buffer size = … MiB») or vLLM's («Model loading took …», «GPU KV cache size») load log: give the engine's whole output from its start`,
    )
  const { replicas } = planFleet({ hosts: spec.hosts.map(toHost), workloads })
  const placed = replicas.find(each => each.replica === replica)
  const ids = workload.gpus ?? placed?.gpus ?? []
  const host = spec.hosts.find(each => each.name === (workload.host ?? placed?.host))
  const products = ids.map(id => host?.gpus.find(gpu => gpu.id === id)?.product ?? null)
  return { key: keyOf(workload, products), measured, source }
}

export class ProfileError extends Error {
  override readonly name = 'ProfileError'
}

async function gather(spec: Spec, ports: PlanPorts): Promise<{ workloads: Workload[]; findings: Finding[] }> {
  const workloads: Workload[] = []
  const findings: Finding[] = []
  const taken = new Set(spec.versions.flatMap(version => version.replicas.map(replica => replica.id)))
  for (const version of spec.versions) {
    const reading = parseVersionName(version.name)
    // A spec with another name was refused before.
    if (!reading.ok) continue
    const { base, quantisation } = reading.name
    const known = await learn(version, { names: namesOf(version, base), quantisation }, ports)
    findings.push(...known.findings)
    const implied = { id: freeId(base, taken) }
    const replicas = version.replicas.length === 0 ? [implied] : version.replicas.filter(runsOnHost)
    // Left out, the engine calls it what clients do.
    const served = version.engine.servedName ?? spec.models.find(model => model.live === version.name)?.name ?? null
    const parts = { version, quantisation, base, served, facts: known.facts }
    for (const replica of replicas) workloads.push(toWorkload({ ...parts, replica }, ports))
  }
  return { workloads, findings }
}

/** One that somebody runs elsewhere takes nothing of these hosts; with a host, it does. */
const runsOnHost = (replica: SpecReplica): boolean => replica.url === undefined || replica.host !== undefined

function freeId(base: string, taken: Set<string>): string {
  let id = base
  for (let n = 2; taken.has(id); n++) id = `${base}-${n}`
  taken.add(id)
  return id
}

const namesOf = (version: SpecVersion, base: string): string[] => {
  const reading = parseArtifactSource(version.artifact?.from ?? '')
  const source = reading.ok ? reading.source : null
  const told = source?.kind === 'hf' ? [source.repository, source.file ?? ''] : []
  const path = source?.kind === 'file' ? [source.path.slice(source.path.lastIndexOf('/') + 1)] : []
  return [base, ...told, ...path].filter(name => name !== '')
}

type Names = { names: readonly string[]; quantisation: Quantisation }

/** What its files tell where they are here, else what is published of its name. */
async function learn(
  version: SpecVersion,
  { names, quantisation }: Names,
  { readFacts }: PlanPorts,
): Promise<{ facts: KnownFacts | null; findings: Finding[] }> {
  const fallback = knownFacts(names, quantisation)
  const reading = parseArtifactSource(version.artifact?.from ?? '')
  if (!reading.ok) return { facts: fallback, findings: [] }
  try {
    const read = await readFacts(reading.source)
    if (read === null || read.bytes === 0) return { facts: fallback, findings: [] }
    return { facts: fromFiles(read, { version, names, fallback, quantisation }), findings: [] }
  } catch (error) {
    if (!(error instanceof ArtifactError)) throw error
    const finding: Finding = {
      ...{ host: null, gpu: null, level: 'risk', topic: 'model' },
      what: `${version.name}: its weights could not be read: ${error.message}`,
      remedy: 'planned from its name; mend the file, or holdfast model inspect it',
    }
    return { facts: fallback, findings: [finding] }
  }
}

type Fallback = Names & { version: SpecVersion; fallback: KnownFacts | null }

/** What its own files tell. Where they don't tell how it attends, the cache is that of a usual model of its size. */
function fromFiles(read: ModelFacts, { version, names, fallback, quantisation }: Fallback): KnownFacts | null {
  const source = `read from ${version.artifact?.from}`
  if (read.attention.length > 0)
    return { ...read, model: read.architecture ?? names[0] ?? 'unknown', source, certainty: 'read' }
  const billions = Math.max(1, Math.round((read.parameters?.total ?? 0) / 1e9))
  const usual = fallback ?? knownFacts([`${billions}b`], quantisation)
  return usual === null
    ? null
    : { ...usual, bytes: read.bytes, parts: null, source: `${source}; its cache: ${usual.source}` }
}

type Parts = {
  version: SpecVersion
  replica: Partial<SpecReplica> & Pick<SpecReplica, 'id'>
  quantisation: Quantisation
  base: string
  served: string | null
  facts: KnownFacts | null
}

function toWorkload({ version, replica, quantisation, base, served, facts }: Parts, ports: PlanPorts): Workload {
  const { kind, version: engineVersion, task, flags } = version.engine
  const names = namesOf(version, base)
  return {
    ...{ version: version.name, replica: replica.id, quantisation, facts, profiles: ports.profiles },
    artifact: version.artifact?.from ?? version.name,
    engine: { kind, version: engineVersion ?? null, servedName: served, task, flags: plainFlags(flags) },
    requantised: to => (facts === null ? null : requantised(facts, names, to)),
    weights: pathOf(version, ports),
    ...{ host: replica.host ?? null, gpus: replica.gpus ?? null, port: replica.port ?? null },
    isExternal: replica.url !== undefined,
  }
}

/** Lists and objects say nothing of memory; engines take them as JSON. */
function plainFlags(flags: SpecVersion['engine']['flags']): Workload['engine']['flags'] {
  return Object.fromEntries(
    Object.entries(flags).map(([flag, value]) => [
      flag,
      typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
        ? value
        : JSON.stringify(value),
    ]),
  )
}

/** What engines are given: a path, or `<repository>@<commit>` for those that fetch whole repositories. */
function pathOf(version: SpecVersion, { resolvePath }: PlanPorts): string {
  const reading = parseArtifactSource(version.artifact?.from ?? '')
  if (!reading.ok) return version.name
  const { source } = reading
  switch (source.kind) {
    case 'hf':
      return source.file === null
        ? `${source.repository}@${source.commit}`
        : `models:${source.repository}/${source.file}`
    case 'file':
      return resolvePath(source.path)
    case 'builtin':
      return source.name
    default:
      return source satisfies never
  }
}

function toHost(host: Spec['hosts'][number]): StatedHost {
  return {
    ...{ name: host.name, address: host.address ?? null },
    ...{ memory: host.memory ?? null, memoryBandwidth: host.memoryBandwidth ?? null },
    gpus: host.gpus.map(({ id, product, memory, uuid, pcie, numa, power }) => ({
      ...{ id, product: product ?? null, memory: memory ?? null, uuid: uuid ?? null },
      ...{ pcie: pcie ?? null, numa: numa ?? null, watts: power ?? null },
    })),
    ...{ supplyWatts: host.power?.supply ?? null, restWatts: host.power?.rest ?? null },
    ups: host.ups === undefined ? null : { name: host.ups.name, watts: host.ups.power ?? null },
    models: host.storage?.models ?? null,
  }
}

const thisMachine = (memory: number): StatedHost => ({
  ...{ name: 'here', address: null, memory, memoryBandwidth: null, gpus: [], models: null },
  ...{ supplyWatts: null, restWatts: null, ups: null },
})
