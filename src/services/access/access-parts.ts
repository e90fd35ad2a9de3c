/** What managing access needs from outside, and what its files share. */
import type { AccessPublisher, AccessStore } from '../../domain/access/index.ts'
import type { Instant, ModelName, TeamName } from '../../domain/units.ts'

export type AccessParts = {
  store: AccessStore
  publisher: AccessPublisher
  /** SHA-256 of the admin key, hex. */
  adminHash: string
  now: () => Instant
  /** Cryptographically strong. */
  randomBytes: (count: number) => Uint8Array
  /** The public model names served now. */
  models: () => readonly ModelName[]
  /** `holdfast.yaml:12` of a team declared in the spec; `null` when that is not known. */
  whereDeclared: (team: TeamName) => string | null
}

/** Permissions may be set up before a model is: an unknown name is worth a word, not a refusal. */
export function warnOfModels({ models }: Pick<AccessParts, 'models'>, named: readonly ModelName[] | null): string[] {
  const known = new Set(models())
  return (named ?? [])
    .filter(name => !known.has(name))
    .map(
      name =>
        `No model is named '${name}' now; the permission takes effect once there is one. Known: ${[...known].join(', ') || 'none'}.`,
    )
}
