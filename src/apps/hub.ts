/** How the hub is reached, from the environment that its own programs read. */
import type { HubSettings } from '../adapters/registry/hugging-face/index.ts'

/** `HF_ENDPOINT`, `HF_TOKEN`, `HF_HUB_OFFLINE`. */
export function readHubSettings(env: NodeJS.ProcessEnv): HubSettings {
  return {
    endpoint: env['HF_ENDPOINT']?.trim() || null,
    // A line end that came along from a file is no part of it.
    token: env['HF_TOKEN']?.trim() || null,
    offline: /^(1|on|yes|true)$/i.test(env['HF_HUB_OFFLINE'] ?? ''),
  }
}
