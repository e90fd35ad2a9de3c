/** Puts the spec together. Pure and total: any value at all gives a spec that is valid, if an empty one. */
import type { SpecInput } from '../spec/index.ts'
import { entriesOf, fieldOf, textOf } from './config.ts'
import { readDeployments } from './deployments.ts'
import { collectLeftOut } from './left-out.ts'
import type { LeftOut } from './left-out.ts'
import { toModels } from './models.ts'
import { isShuffled, leaveSettings, readLimits, withRouting } from './settings.ts'

/** `leftOut`: everything in the config that the spec does not say, in about the config's order. */
export type ImportedConfig = { spec: SpecInput; leftOut: LeftOut[] }

/**
 * `config`: the values of LiteLLM Proxy's config.yaml. Secrets in it come into neither the spec nor `leftOut`.
 * `variable`: the environment, for addresses that the config takes from there; its own `environment_variables` come first.
 */
export function importLiteLlm(
  config: unknown,
  variable: (name: string) => string | undefined = () => undefined,
): ImportedConfig {
  const { leave, leftOut } = collectLeftOut()
  if (entriesOf(config).length === 0)
    leave([], { why: 'This is no config of LiteLLM Proxy.', instead: 'Give its config.yaml, a map with model_list.' })
  const own = fieldOf(config, 'environment_variables')
  const deployments = readDeployments(config, {
    leave,
    variable: name => textOf(fieldOf(own, name)) ?? variable(name),
  })
  const { versions, models } = toModels(deployments, { rated: isShuffled(config), leave })
  const limits = readLimits(config, leave)
  const spec: SpecInput = {
    ...(limits === null ? {} : { gateway: { limits } }),
    versions,
    models: withRouting(models, config, leave),
  }
  leaveSettings(config, leave)
  return { spec, leftOut }
}
