/** From the desired state to what gateways and agents are told. */
import { createHash } from 'node:crypto'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openArtifactFolder } from '../adapters/artifact-folder/index.ts'
import { ggufFiles, parseArtifactSource } from '../domain/catalog/index.ts'
import type { Spec } from '../domain/spec/index.ts'
import {
  compileSnapshot,
  engineAssignments,
  type EngineAssignment,
  type FlagSetting,
  type Reality,
  type Snapshot,
} from '../domain/serving/index.ts'
import type { DesiredSpec } from './desired.ts'
import type { Home } from './paths.ts'

/** The weights that come with Holdfast, one folder a name. */
const builtinWeights = new URL('../../weights/', import.meta.url)

/** What is not the spec's: it moves while the service runs. */
export type Moving = { reality: Reality; flags?: ReadonlyMap<string, FlagSetting> }

export function compileDesired(
  desired: DesiredSpec,
  { home, reality, flags = new Map() }: Moving & { home: Pick<Home, 'engineSocket' | 'artifacts'> },
): { snapshot: Snapshot; engines: EngineAssignment[] } {
  const spec = withWholePaths(desired)
  const { folder } = desired
  const ports = {
    socketFor: home.engineSocket,
    digest: (text: string) => createHash('sha256').update(text).digest('hex'),
    ...{ reality, flags },
  }
  return {
    snapshot: compileSnapshot(spec, ports),
    engines: engineAssignments(spec, {
      ...ports,
      pathOf: from => weightsPath(from, { folder, artifacts: home.artifacts }),
    }),
  }
}

/** Relative paths of TLS files and of registries start from the spec's folder too. */
export function withWholePaths({ spec: written, folder }: DesiredSpec): Spec {
  const registry = written.registry.map(each =>
    each.path === undefined ? each : { ...each, path: resolve(folder, each.path) },
  )
  const spec = { ...written, registry }
  const { tls } = spec.gateway
  if (tls === undefined) return spec
  const whole = { ...tls, cert: resolve(folder, tls.cert), key: resolve(folder, tls.key) }
  const clientCa = tls.clientCa === undefined ? {} : { clientCa: resolve(folder, tls.clientCa) }
  return { ...spec, gateway: { ...spec.gateway, tls: { ...whole, ...clientCa } } }
}

/** Relative paths start from the spec's folder. */
function weightsPath(from: string, { folder, artifacts }: { folder: string; artifacts: string }): string {
  const reading = parseArtifactSource(from)
  if (!reading.ok) throw new Error(`${from} is no source of weights: parse the spec before compiling`)
  const { source } = reading
  switch (source.kind) {
    case 'builtin':
      return fileURLToPath(new URL(`${source.name}/${source.name}.gguf`, builtinWeights))
    case 'file':
      return resolve(folder, source.path)
    case 'hf': {
      const gguf = ggufFiles(source)
      if (!gguf.ok) throw new Error(`${from}: ${gguf.problem}`)
      return openArtifactFolder(artifacts).pathOf(source, gguf.files[0])
    }
    default:
      return source satisfies never
  }
}
