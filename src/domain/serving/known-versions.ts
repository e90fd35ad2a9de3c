/** What versions that were served are, so that a name never comes to mean something else. */
import { parseVersionName, printVersionName } from '../catalog/index.ts'
import type { Spec } from '../spec/index.ts'
import { servedVersions, versionIdentity, type Reality } from './compile.ts'

/** Identities (`versionIdentity`) by version name. */
export type KnownVersions = Readonly<Record<string, string>>

/** With those that `spec` serves. */
export function learnVersions(known: KnownVersions, spec: Spec, reality: Reality = {}): KnownVersions {
  const served = servedVersions(spec, reality).map(each => [each.name, versionIdentity(spec, each)])
  return { ...known, ...Object.fromEntries(served) }
}

/**
 * One text for each version of `spec` that was served before and means something else now: the difference, and the next
 * free name. What was never served may change; so may what a flag made (`exempt`).
 */
export function changedMeanings(spec: Spec, known: KnownVersions, exempt: ReadonlySet<string>): string[] {
  const taken = new Set([...Object.keys(known), ...spec.versions.map(({ name }) => name)])
  return spec.versions.flatMap(version => {
    const before = Object.hasOwn(known, version.name) ? known[version.name] : undefined
    if (before === undefined || exempt.has(version.name)) return []
    const changes = identityDifferences(before, versionIdentity(spec, version))
    if (changes.length === 0) return []
    return [
      `${version.name} was served before, and a version's name keeps its meaning. Changed: ${changes.join('; ')}. ` +
        `Give the changed version a new name (free: ${nextFreeName(version.name, taken)}) and point the model's live at it.`,
    ]
  })
}

/**
 * What two identities (`versionIdentity`) differ in, place by place. What only one of two releases of Holdfast counts as
 * identity is passed over: an upgrade changes no meaning.
 */
export function identityDifferences(before: string, after: string): string[] {
  const [old, now] = [flatten(JSON.parse(before)), flatten(JSON.parse(after))]
  const sections = new Set([...now.keys()].map(sectionOf))
  const oldSections = new Set([...old.keys()].map(sectionOf))
  const places = [...new Set([...old.keys(), ...now.keys()])].filter(
    place => sections.has(sectionOf(place)) && oldSections.has(sectionOf(place)),
  )
  return places
    .filter(place => old.get(place) !== now.get(place))
    .map(place => `${place} was ${shorten(old.get(place))} and is ${shorten(now.get(place))}`)
}

const sectionOf = (place: string): string => place.split('.', 1)[0] ?? ''

/** Leaves by their paths, and each section itself, so that an empty one is still there. */
function flatten(value: unknown, path = ''): Map<string, string> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return new Map([[path, JSON.stringify(value)]])
  const inner = Object.entries(value).flatMap(([key, item]) => [...flatten(item, path === '' ? key : `${path}.${key}`)])
  return new Map(path === '' || path.includes('.') ? inner : [[`${path}.`, ''], ...inner])
}

const shownCharacters = 60
const shorten = (text: string | undefined): string => {
  if (text === undefined) return 'not set'
  return text.length > shownCharacters ? `${text.slice(0, shownCharacters)}…` : text
}

/** The next minor version of the service that is not taken. */
export function nextFreeName(taking: string, taken: ReadonlySet<string>): string {
  const reading = parseVersionName(taking)
  if (!reading.ok) throw new Error(`${taking} is not a version name: parse the spec before asking`)
  const { service, ...parts } = reading.name
  for (let minor = (service.minor ?? 0) + 1; ; minor++) {
    const name = printVersionName({ ...parts, service: { ...service, minor, patch: null, preRelease: null } })
    if (!taken.has(name)) return name
  }
}
