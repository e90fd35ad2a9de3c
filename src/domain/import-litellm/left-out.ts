/** What of a config a spec does not say, why, and what to do instead. */
import { entriesOf, sayPath } from './config.ts'
import type { Path } from './config.ts'

/** Never holds a value of the config but names of models and variables: values may be secrets. */
export type LeftOut = { path: string; why: string; instead: string }
export type Reason = Pick<LeftOut, 'why' | 'instead'>
/** Notes that what stands at `path` was not carried over as it was. */
export type Leave = (path: Path, reason: Reason) => void

export function collectLeftOut(): { leave: Leave; leftOut: LeftOut[] } {
  const leftOut: LeftOut[] = []
  return {
    leftOut,
    leave: (path, reason) => leftOut.push({ path: path.length === 0 ? 'config.yaml' : sayPath(path), ...reason }),
  }
}

const nothingLike: Reason = {
  why: 'Holdfast has no such setting.',
  instead: 'See docs/reference/spec.md for what there is.',
}

/** Leaves out every key of a map that is neither carried nor empty, for the reason that is known for it. */
export function leaveRest(
  value: unknown,
  { path, carried, leave, reasons }: { path: Path; carried: readonly string[]; leave: Leave; reasons: Reasons },
): void {
  for (const [key, below] of entriesOf(value)) {
    if (carried.includes(key) || below === null || below === undefined) continue
    leave([...path, key], reasons.get(key) ?? nothingLike)
  }
}

export type Reasons = ReadonlyMap<string, Reason>

/** One reason for several keys. */
const forAll = (keys: readonly string[], reason: Reason): [string, Reason][] => keys.map(key => [key, reason])

const retries: Reason = {
  why: 'An engine that fails before the first byte is followed by another replica, each at most once; there is no count to set.',
  instead: 'Several replicas, or models[].fallbacks, give more tries.',
}
const health: Reason = {
  why: 'Engines that fail are left alone for a while, and longer each time; the bounds are not settings.',
  instead: 'Nothing to do.',
}
const telling: Reason = {
  why: 'Every request is in the journal, and the gateway has metrics; there are no callbacks.',
  instead: 'See holdfast logs, GET /api/v1/usage and /metrics.',
}
const caching: Reason = {
  why: 'Answers are not cached.',
  instead: 'Engines cache prompts themselves (vLLM: --enable-prefix-caching).',
}
const redis: Reason = {
  why: 'One gateway holds its state itself.',
  instead: 'Leave Redis running only if something else uses it.',
}
const budgets: Reason = {
  why: 'A budget belongs to a key or a team, not to an engine, a user or the whole service.',
  instead: 'Give it to teams (teams[].budget in the spec) or to keys (max_budget, holdfast key update --budget).',
}
const prices: Reason = {
  why: 'Costs are not computed from prices per token: your own machines cost by the hour.',
  instead: 'Name the host of each replica (replicas[].host), and say in hosts[].cost what it costs.',
}
const signIn: Reason = {
  why: 'Identity providers are set up per gateway, with an issuer and an audience.',
  instead: 'See gateway.jwt in docs/reference/spec.md.',
}
const alerting: Reason = {
  why: 'Alerts have their own section, with other words.',
  instead: 'See alerts in docs/reference/spec.md.',
}
const lenient: Reason = {
  why: 'Holdfast hands parameters on as the client sent them, and the engine judges them.',
  instead: 'Nothing to do, as a rule.',
}
const database: Reason = {
  why: 'Holdfast keeps its own state, in a file of its own, and does not read LiteLLM’s database.',
  instead: 'Bring each key along: POST /key/generate with key, key_alias, team_id and models (docs/from-litellm.md).',
}
const forms: Reason = {
  why: 'Logs are lines of JSON, and how much they tell is not in the spec.',
  instead: 'Set HOLDFAST_LOG_LEVEL.',
}
const perRequest: Reason = {
  why: 'Timeouts hold for the whole gateway, not for one engine.',
  instead: 'See gateway.limits (firstByte, idle, request).',
}
const limits: Reason = {
  why: 'An engine has no limits of its own: it gets as many requests as it runs at once, and the others wait.',
  instead: 'Bound the model (models[].limits), or the engine (vLLM: --max-num-seqs).',
}
const eachKey: Reason = {
  why: 'Keys have no limits in common: each has its own, or its team’s.',
  instead: 'Say teams[].limits.parallel, or give it to keys (max_parallel_requests, holdfast key update --parallel).',
}
const cloud: Reason = {
  why: 'This is for a cloud provider.',
  instead: 'Leave it where it is, or serve the model on a machine of yours.',
}

/** Sections that are not looked into. */
export const topReasons: Reasons = new Map([
  ['include', { why: 'Other files are not read.', instead: 'Import each of them, and put the results together.' }],
  ['mcp_servers', { why: 'Holdfast is no MCP gateway.', instead: 'Let the client call its MCP servers itself.' }],
  ['guardrails', { why: 'There are no guardrails.', instead: 'Put them before or behind Holdfast.' }],
  [
    'vector_store_registry',
    { why: 'Collections of documents have their own section.', instead: 'See rag in docs/reference/spec.md.' },
  ],
  ['prompts', { why: 'System prompts belong to versions here.', instead: 'See prompts in docs/reference/spec.md.' }],
  ['callback_settings', telling],
])

export const modelReasons: Reasons = new Map([
  ['max_parallel_requests', limits],
  ...forAll(['rpm', 'tpm'], { ...limits, why: `${limits.why} At most it is carried as the replica’s weight.` }),
  ...forAll(['timeout', 'stream_timeout'], perRequest),
  ...forAll(['max_retries', 'num_retries', 'cooldown_time'], retries),
  ...forAll(
    [
      'input_cost_per_token',
      'output_cost_per_token',
      'input_cost_per_second',
      'output_cost_per_second',
      'cache_read_input_token_cost',
    ],
    prices,
  ),
  ...forAll(['max_budget', 'budget_duration'], budgets),
  ...forAll(
    ['api_version', 'organization', 'region_name', 'aws_region_name', 'vertex_project', 'vertex_location'],
    cloud,
  ),
  ...forAll(['aws_access_key_id', 'aws_secret_access_key', 'vertex_credentials', 'azure_ad_token'], cloud),
  ...forAll(['drop_params', 'allowed_openai_params', 'additional_drop_params'], lenient),
  ['tags', { why: 'Requests are not routed by tags.', instead: 'Give each tag a model of its own.' }],
  [
    'silent_model',
    { why: 'Shadow traffic belongs to a release here.', instead: 'See releases in docs/reference/spec.md.' },
  ],
  ...forAll(['extra_headers', 'headers'], {
    why: 'Engines get no headers beyond the key.',
    instead: 'Put a web server before the engine that adds them.',
  }),
])

export const modelInfoReasons: Reasons = new Map([
  ['access_groups', { why: 'Who may use a model is said for teams and keys.', instead: 'List it in teams[].models.' }],
  ['base_model', { why: 'It served to look up prices.', instead: 'The version’s name says the base model.' }],
  ...forAll(['input_cost_per_token', 'output_cost_per_token'], prices),
  ...forAll(['max_tokens', 'max_input_tokens', 'max_output_tokens'], {
    why: 'The engine knows its own context and refuses what does not fit.',
    instead: 'Nothing to do.',
  }),
  ...forAll(['supports_vision', 'supports_function_calling', 'supports_reasoning', 'supports_response_schema'], {
    why: 'What an engine can do is the engine’s to say.',
    instead: 'Nothing to do.',
  }),
  ...forAll(['health_check_timeout', 'health_check_model', 'health_check_voice', 'disable_background_health_check'], {
    why: 'Engines are asked by their own health routes, and for one token when they had nothing to do.',
    instead: 'See gateway.health in docs/reference/spec.md.',
  }),
])

export const routerReasons: Reasons = new Map([
  ...forAll(['num_retries', 'max_retries', 'retry_policy', 'retry_after', 'max_fallbacks'], retries),
  ...forAll(['allowed_fails', 'allowed_fails_policy', 'cooldown_time', 'disable_cooldowns'], health),
  ...forAll(['redis_host', 'redis_port', 'redis_password', 'redis_url', 'redis_db'], redis),
  ...forAll(['cache_responses', 'cache_kwargs', 'caching_groups'], caching),
  ...forAll(['context_window_fallbacks', 'content_policy_fallbacks'], {
    why: 'A model falls back when no replica of it can answer, not because of what was asked.',
    instead: 'Clients are told context_length_exceeded, and may choose another model.',
  }),
  ...forAll(['enable_pre_call_checks', 'optional_pre_call_checks'], {
    why: 'There are no checks before a call; who is loaded or down is always looked at.',
    instead: 'models[].routing has sticky and prefix-affinity.',
  }),
  ['enable_tag_filtering', { why: 'Requests are not routed by tags.', instead: 'Give each tag a model of its own.' }],
  ...forAll(['set_verbose', 'debug_level'], forms),
])

export const litellmReasons: Reasons = new Map([
  ...routerReasons,
  ...forAll(
    [
      'callbacks',
      'success_callback',
      'failure_callback',
      'service_callback',
      'audit_log_callbacks',
      'langfuse_default_tags',
      'turn_off_message_logging',
      'redact_user_api_key_info',
      's3_callback_params',
    ],
    telling,
  ),
  ...forAll(['cache', 'cache_params', 'enable_caching_on_provider_specific_optional_params'], caching),
  ...forAll(['json_logs', 'set_verbose', 'suppress_debug_info', 'log_raw_request_response'], forms),
  ...forAll(['drop_params', 'modify_params'], lenient),
  ...forAll(
    [
      'max_budget',
      'budget_duration',
      'max_internal_user_budget',
      'max_end_user_budget',
      'internal_user_budget_duration',
    ],
    budgets,
  ),
  ...forAll(['upperbound_key_generate_params', 'default_key_generate_params', 'key_generation_settings'], {
    why: 'Keys get what is asked for them, and only the administrator makes them.',
    instead: 'Say models, team, limits and expiry when you make a key.',
  }),
  ...forAll(['default_team_settings', 'default_team_params'], {
    why: 'Teams have no defaults.',
    instead: 'List your teams in the spec (teams), or make them with POST /team/new.',
  }),
  [
    'default_internal_user_params',
    { why: 'There are no user accounts: keys and teams have rights.', instead: 'Make keys.' },
  ],
])

export const generalReasons: Reasons = new Map([
  ...forAll(
    ['database_url', 'database_type', 'database_connection_pool_limit', 'store_model_in_db', 'proxy_batch_write_at'],
    database,
  ),
  ...forAll(['alerting', 'alerting_threshold', 'alert_types', 'alert_to_webhook_url', 'alerting_args'], alerting),
  ...forAll(['enable_jwt_auth', 'litellm_jwtauth', 'custom_auth', 'custom_sso', 'enable_oauth2_auth'], signIn),
  ...forAll(['background_health_checks', 'health_check_interval', 'health_check_details'], health),
  ['max_parallel_requests', eachKey],
  ['enforce_user_param', { why: 'A request counts for its key.', instead: 'Give each user a key of their own.' }],
  [
    'pass_through_endpoints',
    { why: 'Only routes for models are passed on.', instead: 'Put a web server before Holdfast.' },
  ],
  [
    'allowed_ips',
    {
      why: 'Addresses are not filtered for the whole gateway.',
      instead: 'Bound keys to addresses, or use a firewall.',
    },
  ],
  ...forAll(['disable_spend_logs', 'disable_adding_master_key_hash_to_db', 'maximum_spend_logs_retention_period'], {
    why: 'Requests are always recorded, without their text.',
    instead: 'See capture in docs/reference/spec.md.',
  }),
  ...forAll(['use_redis_transaction_buffer', 'use_shared_health_check'], redis),
  ...forAll(['ui_access_mode', 'ui_username', 'ui_password'], {
    why: 'There are no accounts: whoever has the admin key administers.',
    instead: 'Nothing to do.',
  }),
])
