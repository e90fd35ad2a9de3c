/** The tables, as Kysely types. Times are milliseconds since 1970, yes/no is 1/0, and `json` columns hold text. */
import type { ControlResult } from '../../domain/evaluation/index.ts'

export type Tables = {
  /** `readable_by`: the oldest program schema that may use the database after this step. */
  schema_migrations: { n: number; name: string; at: number; readable_by: number | null }
  /** One row: which store this is, and the number of its last access change. */
  access_state: { id: number; epoch: string; seq: number }
  keys: {
    id: string
    alias: string | null
    team: string | null
    models: string | null
    created_at: number
    expires_at: number | null
    owner: string | null
    routes: string | null
    addresses: string | null
    blocked_at: number | null
    revoked_at: number | null
    limits: string | null
    budget: string | null
    metadata: string
  }
  /** `place` keeps a key's secrets in their order; `live` follows the key's `revoked_at`. */
  secrets: { key_id: string; place: number; hash: string; valid_until: number | null; live: number }
  teams: {
    name: string
    models: string | null
    limits: string | null
    budget: string | null
    priority: 'low' | 'normal' | 'high' | null
    metadata: string
    created_at: number
    source: 'spec' | 'api'
  }
  access_changes: { seq: number; change: string }

  /** `key_hash` is null for the one on the controller's machine. */
  gateways: {
    id: string
    key_hash: string | null
    joined_at: number
    removed_at: number | null
    seen_at: number
    presence: 'connected' | 'lost' | 'left'
    from_address: string | null
  }
  join_tokens: { hash: string; expires_at: number; used_by: string | null }

  epochs: { epoch: string; segment: number; offset: number; ended: number }
  anchors: { epoch: string; segment: number; n: number; hash: string }
  gaps: { epoch: string; from_at: number; until_at: number; lost: number }
  requests: {
    id: string
    epoch: string
    at: number
    key: string | null
    alias: string | null
    team: string | null
    model: string | null
    version: string | null
    replica: string | null
    route: string
    stream: number
    status: number | null
    outcome: 'open' | 'ok' | 'refused' | 'failed' | 'cancelled' | 'interrupted'
    fault: string | null
    input_tokens: number | null
    output_tokens: number | null
    ttft_ms: number | null
    total_ms: number | null
    attempts: number | null
    gpu_ms: number | null
    cost: number | null
    currency: string | null
    estimated_tokens: number | null
    client_id: string | null
    peer: string | null
    choice: string | null
  }
  acts: {
    id: string
    epoch: string
    at: number
    who: string | null
    alias: string | null
    peer: string | null
    what: string
    target: string | null
    decision: 'done' | 'refused' | 'failed'
    why: string | null
    detail: string | null
  }
  /** Epochs that a controller began: acts count in these only. */
  act_epochs: { epoch: string }
  removals: { epoch: string; segment: number; n: number; hash: string; at: number; rule: string; whole: number }
  /** `state` is the erasure as JSON. */
  erasures: { id: string; at: number; done_at: number | null; state: string }
  /** What people thought of answers; the last word of each key. `version` is the one that answered. */
  feedback: {
    request: string
    key: string
    at: number
    score: number
    model: string | null
    version: string | null
  }
  /** What a judge said of answers that clients got; `mark` is null where it could not be read. */
  marks: {
    request: string
    at: number
    model: string
    version: string
    judge: string
    judge_digest: string | null
    judge_prompt: string
    mark: number | null
    calls: number
    unparsable: number
    control: ControlResult['kind'] | null
    control_result: ControlResult['result'] | null
  }
  /** `state` is the release as JSON; `last_seq` numbers its evidence. */
  releases: { id: string; model: string; started_at: number; phase: string; last_seq: number; state: string }
  release_decisions: { release: string; n: number; at: number; decision: string }
  release_events: { release: string; seq: number; at: number; event: string }
  release_results: { release: string; kind: 'smoke' | 'golden'; at: number; content: string }
  flag_settings: { name: string; teams: string; share: number; at: number }
  real_versions: { model: string; live: string; asked_live: string; asked_digest: string | null }
  /** Sums over an hour; '' stands for none, since a primary key can't hold null. */
  usage_hours: {
    hour: number
    key: string
    team: string
    model: string
    version: string
    currency: string
    requests: number
    ok: number
    refused: number
    failed: number
    cancelled: number
    interrupted: number
    input_tokens: number
    output_tokens: number
    gpu_ms: number
    cost: number
  }
  /** Sums for budgets, by span of time and by the epoch that told of them. '' stands for no currency. */
  spend: {
    subject: 'key' | 'team'
    name: string
    span: 'minute' | 'hour' | 'day'
    at: number
    epoch: string
    currency: string
    tokens: number
    gpu_ms: number
    money: number
  }
}
