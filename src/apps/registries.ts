/** Opens what the spec's `registry` section names. Secrets are read here, and go no further than to the place itself. */
import { join, resolve } from 'node:path'
import { openDirectory } from '../adapters/registry/directory/index.ts'
import { openNexus } from '../adapters/registry/nexus/index.ts'
import { openS3, toCredentials } from '../adapters/registry/s3/index.ts'
import { resolveSecret } from '../adapters/secrets/index.ts'
import { ArtifactError } from '../domain/catalog/index.ts'
import type { Spec, SpecRegistry } from '../domain/spec/index.ts'
import type { ObjectPlace } from '../services/registry/index.ts'

export type RegistryParts = {
  env: NodeJS.ProcessEnv
  /** For what people should know of it. */
  tell: (line: string) => void
}

/** Those of the spec, with whole paths; where it names none: a folder of this host, `local`. */
export function registriesOf(spec: Spec | null, { folder, home }: { folder: string; home: string }): SpecRegistry[] {
  if (spec === null || spec.registry.length === 0)
    return [{ name: 'local', kind: 'directory', path: join(home, 'registry'), only: false }]
  return spec.registry.map(each => (each.path === undefined ? each : { ...each, path: resolve(folder, each.path) }))
}

/** `null`: it keeps repositories, not objects (kind hugging-face). Paths are whole. Throws ArtifactError. */
export function openRegistryPlace(registry: SpecRegistry, { env, tell }: RegistryParts): ObjectPlace | null {
  const { name, kind, path = '', url = '' } = registry
  switch (kind) {
    case 'directory':
      return openDirectory(path)
    case 's3':
      return openS3({ url, region: registry.region ?? 'us-east-1', credentials: credentialsOf(registry, env), tell })
    case 'nexus':
      return openNexus({ url, token: registryToken(registry, env), tell: line => tell(`${name}: ${line}`) })
    case 'hugging-face':
      return null
    default:
      return kind satisfies never
  }
}

/** `null`: the spec names none. */
export function registryToken({ name, token }: SpecRegistry, env: NodeJS.ProcessEnv): string | null {
  if (token === undefined) return null
  try {
    return resolveSecret(token, env)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new ArtifactError('never', `the registry '${name}' can't be opened: its token ${why}`, { cause: error })
  }
}

/** As AWS's own programs find them, where the spec has none. */
function credentialsOf(registry: SpecRegistry, env: NodeJS.ProcessEnv) {
  const token = registryToken(registry, env)
  if (token !== null) return toCredentials(token)
  const [accessKeyId, secretAccessKey] = [env['AWS_ACCESS_KEY_ID'], env['AWS_SECRET_ACCESS_KEY']]
  if (!accessKeyId || !secretAccessKey) return null
  return { accessKeyId, secretAccessKey, sessionToken: env['AWS_SESSION_TOKEN'] || null }
}
