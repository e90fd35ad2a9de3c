/** Where weights come from: the registry that a version names, the hub, or both. */
import { openHuggingFace, type HubSettings } from '../adapters/registry/hugging-face/index.ts'
import type { SpecRegistry } from '../domain/spec/index.ts'
import type { Registry } from '../services/artifact-ports.ts'
import { preferred } from '../services/fetch/index.ts'
import { openRegistrySource, type RegistrySource } from '../services/registry/index.ts'
import { readHubSettings } from './hub.ts'
import { openRegistryPlace, registryToken, type RegistryParts } from './registries.ts'

/** For an artifact of the hub. `null`: no registry is named. Throws ArtifactError. */
export function hubFilesFrom(registry: SpecRegistry | null, parts: RegistryParts): Registry {
  const settings = readHubSettings(parts.env)
  const hub = openHuggingFace(settings)
  if (registry === null) return hub
  if (registry.kind === 'hugging-face') return openHuggingFace(settingsOf(registry, settings, parts))
  const { name } = registry
  const first = versionFilesFrom(registry, parts)
  if (first === null) return hub
  if (registry.only) return preferred({ first, name, otherwise: `the spec fetches from nowhere else (only: true)` })
  return preferred({ first, name, otherwise: settings.offline ? 'HF_HUB_OFFLINE is set' : hub })
}

/** `null`: it keeps no versions. Throws ArtifactError. */
export function versionFilesFrom(registry: SpecRegistry, parts: RegistryParts): Registry<RegistrySource> | null {
  const place = openRegistryPlace(registry, parts)
  return place === null ? null : openRegistrySource(place)
}

/** The hub's own token is for the hub that the environment names. */
function settingsOf(registry: SpecRegistry, settings: HubSettings, { env }: RegistryParts): HubSettings {
  const { url, token, name } = registry
  if (url === undefined && token === undefined) return settings
  return {
    ...settings,
    endpoint: url ?? settings.endpoint,
    token: registryToken(registry, env),
    tokenName: `registry[${name}].token`,
  }
}
