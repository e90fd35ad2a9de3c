/** The snapshot: the compiled, immutable routing table that a gateway serves from. */
import type { Limits, TokenIssuer } from '../access/index.ts'
import type { Bytes, Millis, ModelName, ReleaseId, ReplicaId, Share, TeamName, VersionName } from '../units.ts'

export type Snapshot = {
  /** Digest of everything below: the same id, the same behaviour. */
  id: string
  /** The service's name in the spec. */
  service: string
  models: ModelRoute[]
  flags: FlagRoute[]
  versions: VersionRoute[]
  limits: GatewayLimits
  health: HealthLimits
  edge: Edge
  /** Where limits are counted: in this gateway, or a reference to a Redis or Valkey address (never the address: it may hold a password). */
  sharedLimits: string
  /** Identity providers whose tokens are believed beside keys. */
  jwt: TokenIssuer[]
  /** How long a gateway serves from this when it hears nothing more from its controller. */
  maxStale: Millis
  /** What to do with requests that the journal can't take. */
  whenUnwritable: 'serve' | 'refuse'
}

/** A public name and the version that answers for it. */
export type ModelRoute = {
  name: ModelName
  live: VersionName
  /** How many requests may wait for a place on a replica, and how long. */
  queue: { waiting: number; deadline: Millis }
  routing: RoutingStrategy
  /** Asked in this order when no replica of this one can answer. */
  fallbacks: ModelName[]
  /** Asked in this order for what is too long for this one. */
  contextFallbacks: ModelName[]
  /** For everybody together. */
  limits: Limits | null
  /** A version that may replace the live one; `null`: none. */
  release: ReleaseRoute | null
  /** Answers that a judge is shown; `null`: none. */
  quality: QualityRoute | null
}

export type QualityRoute = {
  /** Part of the answers. */
  share: Share
  /** Public key (X25519, base64) that texts are sealed for: only the controller reads them, once. */
  sealFor: string
  /** Teams whose requests are not shown. */
  without: TeamName[]
}

/** What a release asks of gateways. */
export type ReleaseRoute = {
  id: ReleaseId
  candidate: VersionName
  /** Which of the canary's steps: evidence is told apart by it. */
  step: number
  /** Part of the units that the candidate answers. */
  share: Share
  /** What always gets the same version. */
  stick: 'conversation' | 'user' | 'key' | 'request'
  /** Makes the order in which units come to the candidate this release's own. */
  salt: string
  /** Copies of requests, answered by the candidate and judged; `null`: none. */
  shadow: ShadowRoute | null
}

export type ShadowRoute = {
  /** Part of the requests. */
  share: Share
  /** Copies under way at once, in each gateway. */
  parallel: number
  /** Public key (X25519, base64) that both texts are sealed for: only the controller reads them, once. */
  sealFor: string
  /** Teams whose requests are not copied. */
  without: TeamName[]
}

/** A feature that is on for some: of `teams` (none: of all), this part. */
export type FlagRoute = {
  name: string
  teams: TeamName[]
  share: Share
  /** Requests for `model` are answered by `by` while it is on; `null`: it only tells engines and clients. */
  answers: { model: ModelName; by: ModelName } | null
}

export type RoutingStrategy = 'least-loaded' | 'round-robin' | 'sticky' | 'prefix-affinity'

/** What stands at the gateway's door. */
export type Edge = {
  /** Addresses and networks whose X-Forwarded-For and PROXY protocol are believed. */
  trustedProxies: string[]
  /** For each client address; `null`: unbounded. */
  perAddress: { requestsPerMinute: number | null; connections: number | null }
  /** Paths of PEM files; `null`: plain HTTP. */
  tls: { cert: string; key: string; clientCa: string | null } | null
}

export type VersionRoute = {
  name: VersionName
  engine: EngineKind
  /** What the engine calls it; `null`: the public model name. */
  servedName: string | null
  task: Task
  prompt: Prompt
  /** Defaults for what the client left out (`temperature` …), as the engine's API names them. */
  sampling: Record<string, unknown>
  replicas: ReplicaRoute[]
  /** What its work costs. */
  cost: CostRate
}

/** What an hour of one replica's engine costs while it works: the machine, its GPUs and their power. Never 0. */
export type CostRate = {
  hourly: number
  /** ISO 4217. */
  currency: string
  /** GPUs that one replica keeps busy; 1 where nobody says. */
  gpus: number
  /** Something that the spec does not say was taken from what is usual. */
  estimated: boolean
}

/** What a version is for; it decides which call proves that its engine still works. */
export type Task = 'chat' | 'embed' | 'rerank' | 'transcribe' | 'speak'

export type EngineKind =
  | 'vllm'
  | 'llama-cpp'
  | 'ollama'
  | 'sglang'
  | 'tensorrt-llm'
  | 'triton'
  | 'tgi'
  | 'openai'
  | 'embedded'

/** A system prompt. `text` is empty for `p0`. Modes: product.md, «System prompts». */
export type Prompt = { id: string; text: string; mode: 'prepend' | 'default' | 'replace' }

export type ReplicaRoute = {
  id: ReplicaId
  /** A TCP address (base URL with its path, `http://host:8000/v1`) or the Unix socket of an engine on this host. */
  address: { url: string } | { socket: string }
  /** Where its metrics are when not at its own address (Triton: another port); `null`: where its kind has them. */
  metrics: string | null
  /** A reference (`${env:NAME}`, `${file:/path}`), never the secret; `null`: none is sent. */
  apiKey: string | null
  /** Used only when no other replica can answer. */
  backup: boolean
  /** Share of requests in relation to the other replicas'. */
  weight: number
  /** Requests its engine runs at once, by its flags; `null`: they don't say, and it is learned. */
  places: number | null
  /** Holdfast starts it, so when it is gone it comes back: requests may wait for it. */
  managed: boolean
}

/** How engines prove that they work. */
export type HealthLimits = {
  /** Busy for this long without a token taken in or made is a stall. */
  stall: Millis
  /** One that had nothing to do for this long is asked for one token; `null`: never. */
  canary: Millis | null
}

/** Times are looked at ten times a second: what is too late by one of them ends up to 100 ms after it. */
export type GatewayLimits = {
  body: Bytes
  inFlight: number
  /** For streams: from asking the engine to the first byte of its answer. */
  firstByte: Millis
  /** Between two pieces of an answer. */
  idle: Millis
  /** A whole request. */
  request: Millis
}
