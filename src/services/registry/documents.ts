/** Small objects of a registry, read with bounds and checked before anything is believed. */
import { createHash } from 'node:crypto'
import {
  ArtifactError,
  artifactListing,
  largestDocument,
  parseMirroredFile,
  parsePublishedVersion,
  shown,
  versionPath,
  type DocumentReading,
  type MirroredFile,
  type PublishedVersion,
} from '../../domain/catalog/index.ts'
import type { ObjectPlace } from './ports.ts'

export const sha256Of = (text: string): string => createHash('sha256').update(text).digest('hex')

/** `null`: there is no such version. Throws ArtifactError when there is one that can't be believed. */
export async function readVersion(
  place: ObjectPlace,
  name: string,
  signal: AbortSignal,
): Promise<PublishedVersion | null> {
  const path = versionPath(name)
  return readDocument(place, { path, parse: content => checkDigests(parsePublishedVersion(content, name)) }, signal)
}

export async function readMirrored(
  place: ObjectPlace,
  path: string,
  signal: AbortSignal,
): Promise<MirroredFile | null> {
  return readDocument(place, { path, parse: parseMirroredFile }, signal)
}

export type Document<T> = { path: string; parse: (content: Uint8Array) => DocumentReading<T> }

/** `null`: it is not there. Throws ArtifactError for what is no such document. */
export async function readDocument<T>(
  place: ObjectPlace,
  { path, parse }: Document<T>,
  signal: AbortSignal,
): Promise<T | null> {
  const head = await place.head(path, signal)
  if (head === null) return null
  const content = head.bytes > largestDocument ? tooLarge : await contentOf(place, { path, bytes: head.bytes }, signal)
  if (content === null) return null
  const reading: DocumentReading<T> =
    content === tooLarge ? { ok: false, problem: `it has more than ${largestDocument} bytes` } : parse(content)
  if (reading.ok) return reading.value
  throw new ArtifactError('never', `${shown(path)} of ${place.name} can't be used: ${reading.problem}`)
}

const tooLarge = Symbol('too large')

/** `null`: somebody removed it just now. */
async function contentOf(
  place: ObjectPlace,
  where: { path: string; bytes: number },
  signal: AbortSignal,
): Promise<Uint8Array | null> {
  try {
    return await readWhole(place, where, signal)
  } catch (error) {
    if (!(error instanceof ArtifactError) || (await place.head(where.path, signal)) !== null) throw error
    return null
  }
}

async function readWhole(
  place: ObjectPlace,
  { path, bytes }: { path: string; bytes: number },
  signal: AbortSignal,
): Promise<Uint8Array> {
  const content = new Uint8Array(bytes)
  let filled = 0
  if (bytes === 0) return content
  for await (const piece of place.read(path, { from: 0, to: bytes }, signal)) {
    const rest = piece.subarray(0, bytes - filled)
    content.set(rest, filled)
    filled += rest.length
  }
  return content.subarray(0, filled)
}

function checkDigests(reading: DocumentReading<PublishedVersion>): DocumentReading<PublishedVersion> {
  if (!reading.ok) return reading
  const { digest, identity, artifact } = reading.value
  if (sha256Of(artifactListing(artifact.files)) !== artifact.digest)
    return { ok: false, problem: 'its list of files was changed: its digest is another one' }
  return sha256Of(identity) === digest
    ? reading
    : { ok: false, problem: 'its identity was changed: its digest is another one' }
}
