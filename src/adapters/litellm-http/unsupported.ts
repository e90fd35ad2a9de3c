/** Fields of LiteLLM's that would change what is asked and that we can't honour: refused by name, never passed over. */
import { FaultError } from '../../domain/fault.ts'

const limits =
  'Limits are of a key or a team as a whole (rpm_limit, tpm_limit, max_parallel_requests); a model has its own in the spec (models[].limits).'
const budgets =
  'A budget is of a key or a team as a whole (max_budget, budget_duration) and is held exactly. GET /api/v1/spend tells what is left of each.'
const routes =
  'Administration needs the admin key, and no key gets it; allowed_routes bounds a key to routes for models.'
const groups = 'Put the key into a team (team_id), or note this in metadata.'
const members =
  'There are no user accounts: whoever has a key with this team_id and a user_id is a member (POST /key/generate).'
const rotation = 'Rotate with POST /key/regenerate or holdfast key rotate, from a timer if need be.'

const instead: Record<string, string> = {
  soft_budget: budgets,
  budget_id: budgets,
  model_max_budget: budgets,
  team_member_budget: budgets,
  temp_budget_increase: budgets,
  temp_budget_expiry: budgets,
  spend: budgets,
  model_rpm_limit: limits,
  model_tpm_limit: limits,
  rpm_limit_type: limits,
  tpm_limit_type: limits,
  team_member_rpm_limit: limits,
  team_member_tpm_limit: limits,
  allowed_passthrough_routes: routes,
  permissions: routes,
  object_permission: routes,
  key_type: routes,
  agent_id: groups,
  organization_id: groups,
  project_id: groups,
  access_group_ids: groups,
  tags: groups,
  admins: members,
  members: members,
  members_with_roles: members,
  team_member_key_duration: 'Give each key its duration.',
  aliases: 'Name the model in the spec (models) instead.',
  model_aliases: 'Name the model in the spec (models) instead.',
  auto_rotate: rotation,
  rotation_interval: rotation,
  new_key: 'New secrets are made here: leave it out and take the key from the answer.',
  send_invite_email: 'Hand the key over yourself.',
  sort_by: 'Lists are newest first; sort them yourself.',
  sort_order: 'Lists are newest first; sort them yourself.',
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
      what: `The field '${field.slice(0, 60)}'`,
      instead: (Object.hasOwn(instead, field) ? instead[field] : undefined) ?? 'Leave it out, or note it in metadata.',
    })
  }
}
