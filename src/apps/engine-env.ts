/** The environment that engines get: what reads weights from strangers has no use for what opens registries. */
import type { EngineAssignment } from '../domain/serving/index.ts'

const usual = ['HF_TOKEN', 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN']

/** Also without the variables that tokens of the assignments' registries are in. */
export function engineEnv(env: NodeJS.ProcessEnv, assignments: readonly EngineAssignment[]): NodeJS.ProcessEnv {
  const named = assignments.flatMap(({ registry }) => /^\$\{env:(.+)\}$/.exec(registry?.token ?? '')?.[1] ?? [])
  return { ...env, ...Object.fromEntries([...usual, ...named].map(name => [name, undefined])) }
}
