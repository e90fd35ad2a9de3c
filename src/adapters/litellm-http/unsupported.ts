/** Fields of LiteLLM's that would change what a key may do and that we can't honour: refused by name, never passed over. */
import { FaultError } from '../../domain/fault.ts'

const limits =
  'Limits per key are not enforced here yet, so the key would be freer than you asked. Leave the field out.'
const budgets =
  'Budgets are not enforced here, so the key would be freer than you asked. Leave the field out; GET /api/v1/usage tells what each key used.'
const routes = 'A key may use every route for models and none for administration. Leave the field out.'
const groups = 'Put the key into a team (team_id), or note this in metadata.'

const instead: Record<string, string> = {
  max_budget: budgets,
  soft_budget: budgets,
  budget_duration: budgets,
  budget_id: budgets,
  model_max_budget: budgets,
  rpm_limit: limits,
  tpm_limit: limits,
  max_parallel_requests: limits,
  model_rpm_limit: limits,
  model_tpm_limit: limits,
  rpm_limit_type: limits,
  tpm_limit_type: limits,
  allowed_routes: routes,
  allowed_passthrough_routes: routes,
  permissions: routes,
  object_permission: routes,
  agent_id: groups,
  organization_id: groups,
  project_id: groups,
  access_group_ids: groups,
  tags: groups,
  aliases: 'Name the model in the spec (models) instead.',
  blocked: 'Make the key when it is to work, or revoke it with POST /key/delete.',
  auto_rotate: 'Rotate with POST /api/v1/keys/<id>/rotate, from a timer if need be.',
  rotation_interval: 'Rotate with POST /api/v1/keys/<id>/rotate, from a timer if need be.',
  send_invite_email: 'Hand the key over yourself.',
}

/** Null, empty and `false` ask for nothing. Zero does: a budget of 0 means none may be spent. */
function asksNothing(field: string, value: unknown): boolean {
  if (value === null || value === undefined || value === '' || value === false) return true
  if (field === 'spend') return value === 0
  if (field === 'key_type') return value === 'default' || value === 'llm_api'
  if (Array.isArray(value)) return value.length === 0
  return typeof value === 'object' && Object.keys(value).length === 0
}

/** Throws FaultError `unsupported` for the first field that asks for something. */
export function refuseUnsupported(fields: Record<string, unknown>): void {
  for (const [field, value] of Object.entries(fields)) {
    if (asksNothing(field, value)) continue
    throw new FaultError({
      kind: 'unsupported',
      what: `The field '${field}'`,
      instead: instead[field] ?? 'Leave it out, or note it in metadata.',
    })
  }
}
