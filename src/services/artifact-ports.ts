/** What fetching an artifact needs from outside: a registry that has it, and a store that keeps it. */
import type { HubSource, PinnedFile } from '../domain/catalog/index.ts'

/** `offset`: where the bytes start; 0 when the registry does not go on where it was asked to. `etag`: of these very bytes. */
export type Download = { offset: number; etag: string | null; bytes: AsyncIterable<Uint8Array> }

/** All verbs wait for the network, end with `signal`, and throw ArtifactError. */
export type Registry = {
  locate(source: HubSource, path: string, signal: AbortSignal): Promise<PinnedFile>
  /** `etag`: of the bytes before `offset`; when the registry has others now, it starts again. */
  read(file: PinnedFile, from: { offset: number; etag: string | null }, signal: AbortSignal): Promise<Download>
}

/** Files by their digest, and the names by which sources know them. Writes throw ArtifactError, such as on a full disk. */
export type ArtifactStore = {
  /** Where a file of a source is, or will be. */
  pathOf(source: HubSource, path: string): string
  /** Whether the whole file is there. */
  has(source: HubSource, path: string): boolean
  /** Gives the file this name, too, when the store has it already; `false`: it has not. */
  name(source: HubSource, file: PinnedFile): Promise<boolean>
  /** What can still be written. */
  free(): Promise<{ bytes: number; folder: string }>
  /** How much of a file was fetched before. */
  partBytes(file: PinnedFile): Promise<number>
  /** The beginning of a file, read again for its digest. One at a time for each file. */
  openPart(file: PinnedFile, signal: AbortSignal): Promise<ArtifactPart>
}

export type ArtifactPart = {
  readonly bytes: number
  /** Of the bytes that are there. */
  readonly etag: string | null
  /** The first four bytes, as ASCII; fewer when there are fewer. */
  readonly magic: string
  /** Empties it. */
  restart(etag: string | null): Promise<void>
  append(bytes: Uint8Array): Promise<void>
  /** Makes it the file, unless its digest is another one: then it is gone, and the digest it has is told. */
  finish(): Promise<{ ok: true } | { ok: false; hex: string }>
  /** Keeps what is there for later. */
  close(): Promise<void>
}
