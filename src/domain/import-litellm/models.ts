/** From deployments to versions and models: those of one name that are the same thing become replicas of one version. */
import { nameFor } from '../catalog/index.ts'
import type { SpecInput } from '../spec/index.ts'
import type { Deployment } from './deployments.ts'
import { publicModel } from './deployments.ts'
import type { Leave } from './left-out.ts'

export type Versions = NonNullable<SpecInput['versions']>
export type Models = NonNullable<SpecInput['models']>
type Replicas = NonNullable<Versions[number]['replicas']>

const channel = 'production'
const replicaName = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/

/** `rated`: rpm and tpm say how requests are shared out, as LiteLLM's simple-shuffle reads them. */
export function toModels(
  deployments: readonly Deployment[],
  { rated, leave }: { rated: boolean; leave: Leave },
): { versions: Versions; models: Models } {
  const names = { versions: new Set<string>(), replicas: new Set<string>(), models: new Set<string>() }
  const byModel = groupBy(deployments, deployment => deployment.model)
  for (const model of byModel.keys()) names.models.add(model)
  const versions: Versions = []
  const models: Models = []
  for (const [model, all] of byModel) {
    const kinds = [...groupBy(all, identityOf).values()].toSorted((a, b) => firstOrder(a) - firstOrder(b))
    const rest = kinds.slice(1).map(some => ({ some, name: freeModel(model, names.models) }))
    for (const [at, some] of kinds.entries()) {
      const { version, replicas } = toVersion(some, { names, rated, leave })
      versions.push({ ...version, replicas })
      const name = at === 0 ? model : (rest[at - 1]?.name ?? model)
      const fallbacks = at === 0 ? rest.map(other => other.name) : []
      models.push({ name, live: version.name, ...(fallbacks.length === 0 ? {} : { fallbacks }) })
    }
    for (const { some, name } of rest) {
      for (const { path } of some)
        leave(path, {
          why: `It differs from the first deployment of ${model} in engine, model, task or sampling, and one model is one version: it became the model ${name}, to which ${model} falls back.`,
          instead: `Nothing, if ${model} need not be shared out over both.`,
        })
    }
  }
  return { versions, models }
}

type Names = { versions: Set<string>; replicas: Set<string> }

function toVersion(
  deployments: readonly Deployment[],
  { names, rated, leave }: { names: Names; rated: boolean; leave: Leave },
): { version: Omit<Versions[number], 'replicas'>; replicas: Replicas } {
  const [first] = deployments
  if (first === undefined) throw new Error('a group has at least the deployment that made it')
  const { kind, served, task, sampling } = first
  // What stands before the last slash is who published it.
  const { key, version } = nameFor(served.slice(served.lastIndexOf('/') + 1), { channel, taken: names.versions })
  const orders = [...new Set(deployments.map(deployment => deployment.order))].toSorted((a, b) => a - b)
  const shares = rated && deployments.every(each => each.weight === null && each.rate !== null && each.rate > 0)
  const replicas = deployments.map(({ path, id, url, apiKey, weight, rate, order }) => {
    const share = shares ? rate : weight
    const backup = order !== orders[0]
    if (backup && order !== orders[1])
      leave([...path, 'litellm_params', 'order'], {
        why: 'A replica is a first choice or a backup; there is no third place, so it is a backup beside the others.',
        instead: 'Give it a model of its own, and name that last in models[].fallbacks.',
      })
    return {
      id: freeReplica(id, { key, taken: names.replicas }),
      url,
      ...(apiKey === null ? {} : { apiKey }),
      ...(backup ? { backup } : {}),
      ...(share === null || share === 1 ? {} : { weight: share }),
    }
  })
  return {
    version: {
      name: version,
      engine: { kind, ...(served === '' ? {} : { servedName: served }), ...(task === 'chat' ? {} : { task }) },
      ...(Object.keys(sampling).length === 0 ? {} : { sampling }),
    },
    replicas,
  }
}

/** What must be alike for two engines to be replicas of one version. */
const identityOf = ({ kind, served, task, sampling }: Deployment): string =>
  JSON.stringify([kind, served, task, Object.entries(sampling).toSorted(([a], [b]) => (a < b ? -1 : 1))])

const firstOrder = (deployments: readonly Deployment[]): number => Math.min(...deployments.map(({ order }) => order))

function freeReplica(wanted: string | null, { key, taken }: { key: string; taken: Set<string> }): string {
  let name = wanted !== null && replicaName.test(wanted) ? wanted : `${key}-1`
  for (let n = 2; taken.has(name); n++) name = `${key}-${n}`
  taken.add(name)
  return name
}

const longestModel = 128

/** `coder` → `coder-2`, which counts as taken from then on. */
function freeModel(model: string, taken: Set<string>): string {
  for (let n = 2; ; n++) {
    const end = `-${n}`
    const name = model.slice(0, longestModel - end.length) + end
    if (taken.has(name) || !publicModel.test(name)) continue
    taken.add(name)
    return name
  }
}

function groupBy<T>(all: readonly T[], keyOf: (each: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>()
  for (const each of all) groups.set(keyOf(each), [...(groups.get(keyOf(each)) ?? []), each])
  return groups
}
