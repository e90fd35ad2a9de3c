/** What registries keep as JSON, read back. Whoever may write there may have written anything: nothing counts before it is read here. */
import { isInside } from './artifact.ts'
import { countIn, FormatError, isRecord, parseJson, shown } from './formats/index.ts'
import type { ArtifactFile, PublishedVersion } from './registry-layout.ts'
import { parseVersionName } from './version-name.ts'

/** What a file of a source is. `gitSha1`: of a small one, as the hub names it. */
export type MirroredFile = { schema: 1; bytes: number; sha256: string; gitSha1?: string }

/** `at`: ISO 8601, for people: what counts is when the place says that it was written. */
export type PushLease = { schema: 1; at: string; blobs: string[] }

/** `problem` is the end of a sentence that names the document. */
export type DocumentReading<T> = { ok: true; value: T } | { ok: false; problem: string }

export const largestDocument = 1024 * 1024
export const mostArtifactFiles = 10_000

/** Digests are checked by whoever can compute them. */
export function parsePublishedVersion(content: Uint8Array, expectedName: string): DocumentReading<PublishedVersion> {
  return reading(content, document => {
    const { name, digest, identity, from, artifact, publishedAt } = document
    if (name !== expectedName) return no(`it says that it is ${nameOf(name)}`)
    if (!parseVersionName(expectedName).ok) return no('its name is no version name')
    if (!isSha256(digest)) return no('its digest is no SHA-256')
    if (!isIdentity(identity)) return no('its identity is not what versions are described by')
    if (!isLine(from, longestLine)) return no('it does not say where the artifact came from')
    if (!isLine(publishedAt, longestTime)) return no('it does not say when it was published')
    if (!isRecord(artifact) || !isSha256(artifact['digest'])) return no('its artifact has no SHA-256')
    const files = filesIn(artifact['files'])
    if (typeof files === 'string') return no(files)
    return yes({
      ...{ schema: 1 as const, name: expectedName, digest, identity, from },
      ...{ artifact: { digest: artifact['digest'], files }, publishedAt },
    })
  })
}

export function parseMirroredFile(content: Uint8Array): DocumentReading<MirroredFile> {
  return reading(content, ({ bytes: said, sha256, gitSha1 }) => {
    const bytes = countIn(said)
    if (bytes === null) return no('its length is no whole number')
    if (!isSha256(sha256)) return no('its digest is no SHA-256')
    if (gitSha1 === undefined) return yes({ schema: 1, bytes, sha256 })
    return typeof gitSha1 === 'string' && /^[0-9a-f]{40}$/.test(gitSha1)
      ? yes({ schema: 1, bytes, sha256, gitSha1 })
      : no('its digest of Git is no SHA-1')
  })
}

export function parsePushLease(content: Uint8Array): DocumentReading<PushLease> {
  return reading(content, ({ at, blobs }) => {
    if (!isLine(at, longestTime)) return no('it does not say when it was written')
    if (!Array.isArray(blobs) || blobs.length > mostArtifactFiles || !blobs.every(isSha256))
      return no('it does not name blobs by their SHA-256')
    return yes({ schema: 1, at, blobs })
  })
}

/** One text for one set of files, whatever order they were found in: its SHA-256 is the artifact's digest. */
export function artifactListing(files: readonly ArtifactFile[]): string {
  const sorted = files.toSorted((a, b) => (a.path < b.path ? -1 : 1))
  return JSON.stringify(sorted.map(({ bytes, path, sha256 }) => ({ bytes, path, sha256 })))
}

const depth = 8
const mostValues = 6 * mostArtifactFiles
const longestLine = 4096
const mostFolders = 32
const longestTime = 40
/** An identity has the flags of an engine in it, which may be nested, and prompts. */
const longestIdentity = 768 * 1024
const deepestIdentity = 64

const yes = <T>(value: T): DocumentReading<T> => ({ ok: true, value })
const no = (problem: string) => ({ ok: false as const, problem })

function reading<T>(
  content: Uint8Array,
  read: (document: Record<string, unknown>) => DocumentReading<T>,
): DocumentReading<T> {
  if (content.length > largestDocument) return no(`it has more than ${largestDocument} bytes`)
  try {
    const document = parseJson(content, { depth, values: mostValues })
    if (!isRecord(document)) return no('it is no JSON object')
    if (document['schema'] !== 1)
      return no('it was written by a later release of Holdfast: use that one, or one after it')
    return read(document)
  } catch (error) {
    if (error instanceof FormatError) return no(`it is not JSON as a registry holds it (${error.message})`)
    throw error
  }
}

/** The files, or what is wrong with them. */
function filesIn(value: unknown): ArtifactFile[] | string {
  if (!Array.isArray(value) || value.length === 0) return 'it names no files'
  if (value.length > mostArtifactFiles) return `it names more than ${mostArtifactFiles} files`
  const files: ArtifactFile[] = []
  for (const item of value) {
    if (!isRecord(item)) return 'one of its files is no object'
    const { path, sha256 } = item
    const bytes = countIn(item['bytes'])
    if (typeof path !== 'string' || !isPath(path))
      return `one of its files is named ${nameOf(path)}, which is no path inside of a folder`
    if (bytes === null || !isSha256(sha256)) return `${shown(path)} has no length or no SHA-256`
    files.push({ path, bytes, sha256 })
  }
  if (!Number.isSafeInteger(files.reduce((sum, { bytes }) => sum + bytes, 0)))
    return 'its files are larger than any disk'
  const twice = namedTwice(files.map(({ path }) => path))
  return twice === null ? files : `${shown(twice)} is there twice, or is a file and a folder at once`
}

function namedTwice(paths: readonly string[]): string | null {
  const folders = new Set(
    paths.flatMap(path => {
      const parts = path.split('/').slice(0, -1)
      return parts.map((_, at) => parts.slice(0, at + 1).join('/'))
    }),
  )
  const seen = new Set<string>()
  for (const path of paths) {
    if (seen.has(path) || folders.has(path)) return path
    seen.add(path)
  }
  return null
}

const isPath = (text: string): boolean =>
  text.length <= longestLine && text.split('/').length <= mostFolders && isInside(text)

const isSha256 = (value: unknown): value is string => typeof value === 'string' && /^[0-9a-f]{64}$/.test(value)

const isLine = (value: unknown, longest: number): value is string =>
  typeof value === 'string' && value !== '' && value.length <= longest && !/[\p{Cc}\p{Cf}]/u.test(value)

function isIdentity(value: unknown): value is string {
  if (typeof value !== 'string' || value.length > longestIdentity || nestedDeeper(value, deepestIdentity)) return false
  try {
    return isRecord(JSON.parse(value))
  } catch {
    return false
  }
}

/** Whoever compares identities goes down into them. */
function nestedDeeper(text: string, most: number): boolean {
  let level = 0
  let quoted = false
  for (let at = 0; at < text.length; at++) {
    const letter = text[at]
    if (quoted && letter === '\\') at++
    else if (letter === '"') quoted = !quoted
    else if (!quoted && (letter === '{' || letter === '[')) level++
    else if (!quoted && (letter === '}' || letter === ']')) level--
    if (level > most) return true
  }
  return false
}

const nameOf = (value: unknown): string => (typeof value === 'string' ? `'${shown(value)}'` : 'nothing')
