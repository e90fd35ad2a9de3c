/** Which keys this release acts on. Every other key of the spec is checked, kept, and said to be for later. */
import { ggufFiles, parseArtifactSource } from '../catalog/index.ts'
import { asText, field, items, mapOf, valueAt } from './document.ts'

/** `true`: the key and everything below it. Lists are looked through. */
type Acted = true | { readonly [key: string]: Acted }

const acted: Acted = {
  apiVersion: true,
  name: true,
  controller: true,
  store: true,
  gateway: {
    ...{ listen: true, publicUrl: true, tls: true, trustedProxies: true, perAddress: true },
    ...{ limits: true, health: true, jwt: true, sharedLimits: true, maxStale: true },
  },
  hosts: {
    ...{ name: true, address: true, memory: true, memoryBandwidth: true, gpus: true, power: true, cost: true },
    ...{ storage: { models: true }, ups: { name: true, power: true } },
  },
  registry: true,
  prompts: true,
  versions: {
    name: true,
    description: true,
    tags: true,
    artifact: true,
    engine: true,
    sampling: true,
    replicas: { id: true, host: true, gpus: true, url: true, metrics: true, apiKey: true, backup: true, weight: true },
  },
  models: {
    ...{ name: true, live: true, queue: true, routing: true },
    ...{ fallbacks: true, contextFallbacks: true, limits: true, release: true, quality: true },
  },
  releases: true,
  flags: true,
  teams: true,
  capture: { whenUnwritable: true, retention: true },
}

/** Whether a key (`['models', 'live']`: lists have no step) is acted on: wholly, in part, or not yet. */
export function actedOn(keys: readonly string[]): 'yes' | 'partly' | 'no' {
  let node: Acted = acted
  for (const key of keys) {
    if (node === true) return 'yes'
    const below: Acted | undefined = Object.hasOwn(node, key) ? node[key] : undefined
    if (below === undefined) return 'no'
    node = below
  }
  return node === true ? 'yes' : 'partly'
}

/** The parts of a written document that are accepted and not acted on yet, as paths, each once; with a reason where there is one. */
export function notActedOn(document: unknown): string[] {
  const found = new Set<string>()
  collect(document, { node: acted, at: '', found })
  for (const version of items(document, ['versions'])) noteVersion(version.value, found)
  return [...found]
}

function collect(value: unknown, { node, at, found }: { node: Acted; at: string; found: Set<string> }): void {
  if (node === true) return
  if (Array.isArray(value)) {
    for (const item of value) if (!isLeftOutReplica(at, item)) collect(item, { node, at: `${at}[]`, found })
    return
  }
  for (const [key, below] of mapOf(value) ?? []) {
    const path = at === '' ? key : `${at}.${key}`
    const next: Acted | undefined = Object.hasOwn(node, key) ? node[key] : undefined
    if (below === null || (path === 'versions[].chatTemplate' && below === 'artifact')) continue
    if (next === undefined) found.add(path)
    else collect(below, { node: next, at: path, found })
  }
}

/** One that Holdfast would have to start on a host: said once as a whole, by `noteVersion`. */
const isLeftOutReplica = (at: string, item: unknown): boolean =>
  at === 'versions[].replicas' && field(item, 'host') !== undefined && field(item, 'url') === undefined

function noteVersion(version: unknown, found: Set<string>): void {
  const name = asText(field(version, 'name')) ?? ''
  const kind = asText(valueAt(version, ['engine', 'kind'])) ?? ''
  const from = parseArtifactSource(asText(valueAt(version, ['artifact', 'from'])) ?? '')
  if (kind === 'embedded') {
    const gguf = from.ok && from.source.kind === 'hf' ? ggufFiles(from.source) : null
    if (gguf?.ok === false) found.add(`versions[${name}].artifact (${gguf.problem})`)
    return
  }
  const flags = mapOf(valueAt(version, ['engine', 'flags']))
  if (flags !== null && flags.size > 0)
    found.add(`versions[${name}].engine.flags (part of the version; the engine is not started with them yet)`)
  for (const replica of items(version, ['replicas'])) {
    if (field(replica.value, 'url') !== undefined) continue
    const id = asText(field(replica.value, 'id')) ?? ''
    found.add(`versions[${name}].replicas[${id}] (${kind} is not started yet: start it yourself and give its url)`)
  }
}
