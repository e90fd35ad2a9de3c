/** `GET /v1/models`: OpenAI's `data[]` and, beside it, `models[]` with version and status. */
import type { ModelName, VersionName } from '../units.ts'

/** `stopped` is a model that starts on demand; `unavailable` has no replica that answers. */
export type ModelStatus = 'loaded' | 'loading' | 'stopped' | 'unavailable'

export type ModelListing = { name: ModelName; version: VersionName; status: ModelStatus }

/** The answer's body. `created` is when the service took this snapshot, in seconds since 1970. */
export function toModelList(listings: readonly ModelListing[], created: number) {
  return {
    object: 'list',
    data: listings.map(({ name }) => toModelObject(name, created)),
    models: listings,
  }
}

/** One model in OpenAI's shape. */
export function toModelObject(name: ModelName, created: number) {
  return { id: name, object: 'model', created, owned_by: 'holdfast' }
}
