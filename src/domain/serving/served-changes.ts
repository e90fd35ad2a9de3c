/** What would be served otherwise: the named things that differ between two states, and how. */
import type { ReplicaRoute, Snapshot } from './snapshot.ts'
import type { EngineAssignment } from './link.ts'

/** Everything that a spec decides while the service runs. */
export type Served = {
  snapshot: Snapshot
  engines: readonly EngineAssignment[]
  teams: readonly { name: string }[]
}

export type ServedChange = {
  what: 'model' | 'version' | 'replica' | 'engine' | 'team' | 'gateway'
  name: string
  change: 'added' | 'removed' | 'changed'
  /** Which parts changed, `weight: 1 → 3`; empty for what was added or removed. */
  details: string[]
}

export function servedChanges(before: Served, after: Served): ServedChange[] {
  return [
    ...listChanges('model', named(before.snapshot.models), named(after.snapshot.models)),
    ...listChanges('version', versionsOf(before.snapshot), versionsOf(after.snapshot)),
    ...listChanges('replica', replicasOf(before.snapshot), replicasOf(after.snapshot)),
    ...listChanges('engine', enginesOf(before), enginesOf(after)),
    ...listChanges('team', named(before.teams), named(after.teams)),
    ...wholeChanges(settingsOf(before.snapshot), settingsOf(after.snapshot)),
  ]
}

type Listed = ReadonlyMap<string, object>

function listChanges(what: ServedChange['what'], before: Listed, after: Listed): ServedChange[] {
  const names = new Set([...before.keys(), ...after.keys()])
  return [...names].flatMap((name): ServedChange[] => {
    const [old, now] = [before.get(name), after.get(name)]
    if (old === undefined) return [{ what, name, change: 'added', details: [] }]
    if (now === undefined) return [{ what, name, change: 'removed', details: [] }]
    const details = detailsOf(old, now)
    return details.length === 0 ? [] : [{ what, name, change: 'changed', details }]
  })
}

function wholeChanges(before: object, after: object): ServedChange[] {
  const details = detailsOf(before, after)
  return details.length === 0 ? [] : [{ what: 'gateway', name: 'settings', change: 'changed', details }]
}

function detailsOf(before: object, after: object): string[] {
  const [old, now] = [leaves(before), leaves(after)]
  return [...new Set([...old.keys(), ...now.keys()])]
    .filter(place => old.get(place) !== now.get(place))
    .map(place => `${place}: ${shorten(old.get(place))} → ${shorten(now.get(place))}`)
}

function leaves(value: unknown, path = ''): Map<string, string> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return new Map([[path, JSON.stringify(value) ?? 'null']])
  return new Map(
    Object.entries(value).flatMap(([key, item]) => [...leaves(item, path === '' ? key : `${path}.${key}`)]),
  )
}

const shownCharacters = 80
function shorten(text: string | undefined): string {
  if (text === undefined) return 'nothing'
  return text.length > shownCharacters ? `${text.slice(0, shownCharacters)}…` : text
}

const named = (list: readonly { name: string }[]): Listed => new Map(list.map(({ name, ...rest }) => [name, rest]))

const versionsOf = ({ versions }: Snapshot): Listed =>
  new Map(versions.map(({ name, replicas: _replicas, ...rest }) => [name, rest]))

const replicasOf = ({ versions }: Snapshot): Listed =>
  new Map(
    versions.flatMap(({ name, replicas }) =>
      replicas.map(({ id, ...rest }): [string, object] => [id, { version: name, ...withoutPassword(rest) }]),
    ),
  )

/** An address may have a password in it, and this is printed. */
function withoutPassword<R extends Pick<ReplicaRoute, 'address'>>(route: R): object {
  if ('socket' in route.address) return route
  return { ...route, address: { url: route.address.url.replace(/^(\w+:\/\/)[^/@]*@/, '$1…@') } }
}

/** Where it listens and which file holds its weights say nothing that the digest does not. */
const enginesOf = ({ engines }: Served): Listed =>
  new Map(engines.map(({ replica, version, digest }) => [replica, { version, runs: digest.slice(0, 12) }]))

const settingsOf = ({ id: _id, models: _models, versions: _versions, ...settings }: Snapshot): object => settings
