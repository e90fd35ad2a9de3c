/** What managing access needs from outside, and what its files share. */
import type { AccessPublisher, AccessStore, Key } from '../../domain/access/index.ts'
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
  /** ISO 4217, the one that costs are told in. */
  currency: () => string
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

/** What is allowed and seldom meant. */
export function warnOfKey(parts: Pick<AccessParts, 'models'>, key: Key): string[] {
  const warnings = warnOfModels(parts, key.models)
  if (key.routes !== null && !key.routes.includes('models'))
    warnings.push(
      "Many clients ask for the list of models first, and this key is refused it: add 'models' to its routes.",
    )
  if (key.owner?.kind !== 'service') return warnings
  if (key.team === null && key.models === null)
    warnings.push('It is used unattended and may use every model: bound it by a team or by models.')
  if (key.expiresAt === null)
    warnings.push('It is used unattended and never ends: rotate it now and then, or give it an end.')
  return warnings
}
