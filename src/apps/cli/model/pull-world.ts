/** What a pull needs, and what it comes down to. */
import type { ListedFile } from '../../../domain/catalog/index.ts'
import type { Spec, SpecRegistry } from '../../../domain/spec/index.ts'
import type { ArtifactStore, NamedSource } from '../../../services/artifact-ports.ts'
import type { Fetcher, FetchOrder } from '../../../services/fetch/index.ts'
import type { RegistryParts } from '../../registries.ts'

export type PullOrder = {
  source: NamedSource
  files: string[]
  leftOut: ListedFile[]
  /** As people are told of it. */
  from: string
  /** All that the source has: then a second pull asks nobody. */
  isWhole: boolean
  fetch: (by: Pick<FetchOrder, 'signal' | 'onProgress'>) => Promise<void>
}

export type PullWorld = RegistryParts & {
  store: ArtifactStore
  fetchArtifact: Fetcher
  spec: Spec | null
  /** Relative paths of the spec start here. */
  folder: string
  /** That may be asked. */
  registries: readonly SpecRegistry[]
  /** `--registry`. */
  named: SpecRegistry | null
  signal: AbortSignal
  onProgress: FetchOrder['onProgress']
}
