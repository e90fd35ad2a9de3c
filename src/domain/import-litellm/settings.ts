/** What LiteLLM's sections of settings say about routing and bounds. */
import type { SpecInput } from '../spec/index.ts'
import { entriesOf, fieldOf, itemsOf, numberOf, textOf } from './config.ts'
import type { Path } from './config.ts'
import { publicModel } from './deployments.ts'
import { generalReasons, leaveRest, litellmReasons, routerReasons, topReasons } from './left-out.ts'
import type { Leave } from './left-out.ts'
import type { Models } from './models.ts'

type Gateway = NonNullable<SpecInput['gateway']>
type Limits = NonNullable<Gateway['limits']>

const router = 'router_settings'
const general = 'general_settings'
const litellm = 'litellm_settings'

/** Simple-shuffle is LiteLLM's choice when nothing is said. */
export function isShuffled(config: unknown): boolean {
  return (textOf(fieldOf(fieldOf(config, router), 'routing_strategy')) ?? 'simple-shuffle') === 'simple-shuffle'
}

/** Bounds of the gateway; `null`: nothing to say. */
export function readLimits(config: unknown, leave: Leave): Limits | null {
  const at = (section: string, key: string): Setting => ({
    value: fieldOf(fieldOf(config, section), key) ?? null,
    path: [section, key],
  })
  const request = firstSet([at(router, 'timeout'), at(litellm, 'request_timeout')], leave)
  const stream = firstSet([at(router, 'stream_timeout')], leave)
  const inFlight = firstSet([at(general, 'global_max_parallel_requests')], leave)
  const body = firstSet([at(general, 'max_request_size_mb')], leave)
  const limits: Limits = {
    ...within(body, { most: 256, leave, to: value => ({ body: `${value}MiB` }) }),
    ...within(inFlight, { most: Number.MAX_SAFE_INTEGER, whole: true, leave, to: value => ({ inFlight: value }) }),
    ...within(stream, { most: longestTimeout, leave, to: value => ({ firstByte: `${value}s` }) }),
    ...within(request, { most: longestTimeout, leave, to: value => ({ request: `${value}s` }) }),
  }
  return Object.keys(limits).length === 0 ? null : limits
}

/** Adds aliases and fallbacks to the models. */
export function withRouting(models: Models, config: unknown, leave: Leave): Models {
  const aliases = readAliases(models, config, leave)
  const aliased = [...models, ...aliases.map(({ alias, model }) => ({ ...model, name: alias }))]
  const known = new Set(aliased.map(model => model.name))
  const fallbacks = new Map<string, string[]>(aliased.map(({ name, fallbacks: own = [] }) => [name, [...own]]))
  const usual: string[] = []
  for (const section of [router, litellm]) {
    const settings = fieldOf(config, section)
    const written = fieldOf(settings, 'fallbacks') ?? []
    if (!Array.isArray(written)) leave([section, 'fallbacks'], oddFallback)
    for (const [at, entry] of itemsOf(written).entries()) {
      const path: Path = [section, 'fallbacks', at]
      const pairs = entriesOf(entry)
      if (pairs.length === 0) leave(path, oddFallback)
      for (const [model, names] of pairs) {
        const to = model === '*' ? usual : fallbacks.get(model)
        if (to === undefined) leave([...path, model], notCarried(model))
        else addNames(to, names, { path: [...path, model], known, leave })
      }
    }
    addNames(usual, fieldOf(settings, 'default_fallbacks') ?? [], {
      path: [section, 'default_fallbacks'],
      known,
      leave,
    })
  }
  return aliased.map(model => {
    const target = aliases.find(({ alias }) => alias === model.name)?.model.name
    const own = [model.name, target].map(name => fallbacks.get(name ?? '') ?? []).find(names => names.length > 0) ?? []
    // LiteLLM's default is for models without a list of their own.
    const chosen = [...new Set(own.length === 0 ? usual : own)].filter(name => name !== model.name)
    return chosen.length === 0 ? model : { ...model, fallbacks: chosen }
  })
}

/** Everything in these sections that the functions above do not read. */
export function leaveSettings(config: unknown, leave: Leave): void {
  const strategy = textOf(fieldOf(fieldOf(config, router), 'routing_strategy'))
  if (strategy !== null && strategy !== 'least-busy')
    leave([router, 'routing_strategy'], {
      why: 'The replica with the least to do is asked, in relation to its weight.',
      instead: 'Nothing to do, as a rule; models[].routing has other ways.',
    })
  const carried = [
    'timeout',
    'stream_timeout',
    'routing_strategy',
    'fallbacks',
    'default_fallbacks',
    'model_group_alias',
  ]
  leaveRest(fieldOf(config, router), { path: [router], carried, leave, reasons: routerReasons })
  leaveRest(fieldOf(config, litellm), {
    path: [litellm],
    carried: ['request_timeout', 'fallbacks', 'default_fallbacks'],
    leave,
    reasons: litellmReasons,
  })
  leaveMasterKey(config, leave)
  leaveRest(fieldOf(config, general), {
    path: [general],
    carried: ['master_key', 'global_max_parallel_requests', 'max_request_size_mb'],
    leave,
    reasons: generalReasons,
  })
  for (const [name] of entriesOf(fieldOf(config, 'environment_variables')))
    leave(['environment_variables', name], {
      why: 'A spec sets no environment variables.',
      instead: 'Set it where Holdfast is started, if the spec names it as ${env:…}.',
    })
  leaveRest(config, {
    path: [],
    carried: ['model_list', 'credential_list', router, litellm, general, 'environment_variables'],
    leave,
    reasons: topReasons,
  })
  for (const section of [router, litellm, general, 'environment_variables']) {
    const value = fieldOf(config, section)
    if (value === null || value === undefined || (typeof value === 'object' && !Array.isArray(value))) continue
    leave([section], { why: 'It is not a map.', instead: 'See LiteLLM’s documentation of config.yaml.' })
  }
}

function leaveMasterKey(config: unknown, leave: Leave): void {
  const master = fieldOf(fieldOf(config, general), 'master_key')
  if (master === undefined || master === null) return
  const name = /^os\.environ\/([A-Za-z_][A-Za-z0-9_]*)$/.exec(textOf(master) ?? '')?.[1]
  leave([general, 'master_key'], {
    why: 'The admin key is a secret, and a spec holds none.',
    instead: `Start Holdfast with HOLDFAST_ADMIN_KEY set to ${name === undefined ? 'it' : `the value of ${name}`} (32 characters or more), and scripts go on with it; else one is made.`,
  })
}

type Setting = { value: unknown; path: Path }

/** The first that is set; those after it do not count, as in LiteLLM. */
function firstSet(settings: readonly Setting[], leave: Leave): Setting | null {
  const [first, ...others] = settings.filter(({ value }) => value !== null)
  for (const { path } of others)
    leave(path, { why: `${first?.path.join('.')} says the same, and comes first.`, instead: 'Nothing to do.' })
  return first ?? null
}

/** Seven days, the longest that a timer of Holdfast's waits. */
const longestTimeout = 7 * 86_400

function within<T>(
  setting: Setting | null,
  { most, whole = false, leave, to }: { most: number; whole?: boolean; leave: Leave; to: (value: number) => T },
): T | null {
  if (setting === null) return null
  const number = numberOf(setting.value)
  const value = number === null ? 0 : Math.round(number * 1000) / 1000
  if (value > 0 && value <= most && (!whole || Number.isSafeInteger(value))) return to(value)
  leave(setting.path, {
    why: `It is not a ${whole ? 'whole ' : ''}number from above 0 to ${most}.`,
    instead: 'See gateway.limits in docs/reference/spec.md.',
  })
  return null
}

type Alias = { alias: string; model: Models[number] }

function readAliases(models: Models, config: unknown, leave: Leave): Alias[] {
  const taken = new Set(models.map(model => model.name))
  const aliases: Alias[] = []
  const section: Path = [router, 'model_group_alias']
  const written = fieldOf(fieldOf(config, router), 'model_group_alias') ?? {}
  if (typeof written !== 'object' || Array.isArray(written))
    leave(section, { why: 'It is not a map from aliases to models.', instead: 'Add them to models.' })
  for (const [alias, value] of entriesOf(written)) {
    const path: Path = [...section, alias]
    const target = textOf(value) ?? textOf(fieldOf(value, 'model'))
    const model = models.find(each => each.name === target)
    if (model === undefined || taken.has(alias) || !publicModel.test(alias)) {
      leave(path, {
        why: 'It is no free public name, or stands for a model that is not carried over.',
        instead: 'Add it to models, with the version that is to answer.',
      })
      continue
    }
    taken.add(alias)
    aliases.push({ alias, model })
    if (fieldOf(value, 'hidden') === true)
      leave([...path, 'hidden'], { why: 'Every model is listed in /v1/models.', instead: 'Nothing to do.' })
  }
  return aliases
}

const oddFallback = {
  why: 'It is not a map from a model to its fallbacks.',
  instead: 'See models[].fallbacks in docs/reference/spec.md.',
}
const notCarried = (model: string) => ({
  why: `${publicModel.test(model) ? model : 'The model'} is not carried over.`,
  instead: 'See what is said of it in model_list, if anything.',
})

function addNames(
  to: string[],
  names: unknown,
  { path, known, leave }: { path: Path; known: ReadonlySet<string>; leave: Leave },
): void {
  if (!Array.isArray(names)) leave(path, oddFallback)
  for (const [at, name] of itemsOf(names).entries()) {
    if (typeof name === 'string' && known.has(name)) to.push(name)
    else leave([...path, at], typeof name === 'string' ? notCarried(name) : oddFallback)
  }
}
