/** What running releases asks of the world. */
import type {
  Baseline,
  Decision,
  EngineState,
  GoldenResult,
  Hook,
  Policy,
  Release,
  ReleaseStore,
  SmokeResult,
} from '../../domain/release/index.ts'
import type { Instant, Millis, ModelName, ReleaseId, VersionName } from '../../domain/units.ts'

/** The spec, as far as releases go by it. */
export interface Wishes {
  /** Every model, with the version that it asks for. `policy` null: another `live` is served at once. */
  models: { name: ModelName; live: VersionName; policy: Policy | null; digest: string }[]
  versions: ReadonlySet<VersionName>
  /** Policies by name, for those who start a release by hand. */
  policies: ReadonlyMap<string, Policy>
  /** What makes a version what it is; `null`: the spec has no such version. */
  identityOf(version: VersionName): string | null
  /** The spec is followed from Git: what it says is changed there, and nowhere else. */
  followsGit: boolean
}

/** The versions as the gateway here sees them. */
export interface Engines {
  /** Never rejects. */
  look(release: Pick<Release, 'model' | 'from' | 'to'>): Promise<{
    live: EngineState
    candidate: EngineState
    /** Nothing of its model is under way, and nothing was for a while. */
    idle: boolean
    /** How long the live version took to load the last time; `null`: nobody saw it load. */
    liveLoads: Millis | null
  }>
}

export interface Trials {
  smoke(release: Release, signal: AbortSignal): Promise<SmokeResult>
  /** `whole`: every row, kept beside the release. */
  golden(release: Release, signal: AbortSignal): Promise<{ result: GoldenResult; whole: unknown }>
  /** Whether one who has to be asked agrees. */
  confirm(hook: Hook, release: Release, signal: AbortSignal): Promise<{ ok: boolean; detail: string }>
}

export type ReleaseParts = {
  store: ReleaseStore
  engines: Engines
  trials: Trials
  /** Makes gateways and agents do what releases now want; asked for again it does no harm. */
  serve: () => void
  /** Told of every decision, once; it must not throw. */
  notify: (release: Release, decision: Decision) => void
  /** Resolves once the store has what was served until now, or soon after. */
  fresh: () => Promise<void>
  baselineOf: (release: Release, now: Instant) => Promise<Baseline | null>
  now: () => Instant
  newId: () => ReleaseId
  newSalt: () => string
  onProblem: (problem: string, cause: unknown) => void
}
