/** Where from: a registry first, and what it has not from where the weights were published. */
import { ArtifactError, type HubSource, type PinnedFile } from '../../domain/catalog/index.ts'
import type { Registry } from '../artifact-ports.ts'

export type Preference = {
  first: Registry
  /** As the spec calls `first`. */
  name: string
  /** Where it is fetched from else; a text: why from nowhere else. */
  otherwise: Registry | string
}

/** All files of a source come from one of the two, but those that only the other has. */
export function preferred({ first, name, otherwise }: Preference): Registry {
  const origins = new WeakMap<PinnedFile, Registry>()

  function elsewhere(source: HubSource): Registry {
    if (typeof otherwise !== 'string') return otherwise
    const text = `hf:${source.repository}@${source.commit}${source.file === null ? '' : `:${source.file}`}`
    throw new ArtifactError(
      'never',
      `the registry '${name}' has not all of ${text}, and ${otherwise}: where it may be fetched, run ` +
        `holdfast model pull ${text}, then holdfast model push ${text} --registry ${name}`,
    )
  }

  return {
    list: async (source, signal) => (await first.list(source, signal)) ?? elsewhere(source).list(source, signal),
    async locate(source, path, signal) {
      const here = await first.locate(source, path, signal)
      const origin = here === null ? elsewhere(source) : first
      const file = here ?? (await origin.locate(source, path, signal))
      if (file !== null) origins.set(file, origin)
      return file
    },
    read: (file, range, signal) => originOf(file).read(file, range, signal),
    lies: file => originOf(file).lies?.(file) ?? null,
  }

  function originOf(file: PinnedFile): Registry {
    const origin = origins.get(file)
    if (origin === undefined) throw new Error(`${file.path} was located by another registry`)
    return origin
  }
}
