/** What releases need of the spec, and what they make of it in turn. */
import { createHash } from 'node:crypto'
import { realityOf, toPolicy, type Release } from '../domain/release/index.ts'
import { versionIdentity, type Reality, type ReleaseRoute } from '../domain/serving/index.ts'
import type { Spec, SpecVersion } from '../domain/spec/index.ts'
import { modelName, teamName, versionName, type ModelName, type ReleaseId, type TeamName } from '../domain/units.ts'
import type { ModelState, Wishes } from '../services/release/index.ts'

export function toWishes(spec: Spec): Wishes {
  const policies = new Map(Object.entries(spec.releases).map(([name, policy]) => [name, toPolicy(name, policy)]))
  const identities = new Map(
    spec.versions.map(version => [versionName(version.name), sha256(identityOf(spec, version))]),
  )
  return {
    models: spec.models.map(({ name, live, release }) => {
      const policy = release === undefined ? null : (policies.get(release) ?? null)
      const wish = [live, identities.get(versionName(live)), policy]
      return { name: modelName(name), live: versionName(live), policy, digest: sha256(JSON.stringify(wish)) }
    }),
    versions: new Set(identities.keys()),
    policies,
    identityOf: version => identities.get(version) ?? null,
    followsGit: spec.gitops !== undefined,
  }
}

/** What engines run that somebody else starts, nobody here knows: two of them are never the same. */
function identityOf(spec: Spec, version: SpecVersion): string {
  const identity = versionIdentity(spec, version)
  return version.artifact === undefined ? `${identity} ${version.name}` : identity
}

export type RealityParts = {
  states: ReadonlyMap<ModelName, ModelState>
  spec: Spec
  /** Public key that texts of a release are sealed for. */
  sealKeyOf: (release: ReleaseId) => string
  /** And that of samples for marks. */
  samplesFor: string
}

/** Models that are gone from the spec are left out. */
export function toReality({ states, spec, sealKeyOf, samplesFor }: RealityParts): Reality {
  const without = spec.teams.filter(({ shadow }) => !shadow).map(({ name }) => teamName(name))
  return Object.fromEntries(
    spec.models.flatMap(({ name, quality: marked }) => {
      const quality = marked === undefined ? {} : { quality: { share: marked.share, sealFor: samplesFor, without } }
      const state = states.get(modelName(name))
      if (state === undefined) return []
      const { live, release } = state
      if (release === null) return [[name, { live, beside: [], liveRests: false, release: null, ...quality }]]
      const wanted = realityOf(release)
      const real = {
        live: wanted.live,
        beside: wanted.beside === null ? [] : [wanted.beside],
        liveRests: wanted.liveRests,
        ...quality,
      }
      return [[name, { ...real, release: routeOf(release, { wanted, without, sealKeyOf }) }]]
    }),
  )
}

function routeOf(
  release: Release,
  {
    wanted,
    without,
    sealKeyOf,
  }: { wanted: ReturnType<typeof realityOf>; without: TeamName[] } & Pick<RealityParts, 'sealKeyOf'>,
): ReleaseRoute | null {
  const { share, shadow, step } = wanted
  if (share === 0 && shadow === null) return null
  return {
    id: release.id,
    candidate: release.to,
    step,
    share,
    stick: release.policy.canary?.stick ?? 'conversation',
    salt: release.salt,
    shadow: shadow === null ? null : { ...shadow, sealFor: sealKeyOf(release.id), without },
  }
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')
