/** What fetching an artifact needs from outside: a registry that has it, and a store that keeps it. */
import type { HubSource } from './artifact.ts'

/** `git-sha1`: git's own name of a small file that is kept in git itself. */
export type FileDigest = { algorithm: 'sha256' | 'git-sha1'; hex: string }

/** One file of a repository, exactly: what it holds can't change any more. */
export type PinnedFile = {
  repository: string
  /** 40 hex digits. */
  commit: string
  path: string
  bytes: number
  digest: FileDigest
}

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

/** An artifact can't be fetched. The message says why, and what would make it work. */
export class ArtifactError extends Error {
  /** `soon`: a cut, a busy registry. `later`: a full disk, no network. `never`: not as things are asked now. */
  readonly retry: 'soon' | 'later' | 'never'
  /** The registry asked for this wait. */
  readonly afterMs: number | null

  constructor(
    retry: 'soon' | 'later' | 'never',
    message: string,
    more: { afterMs?: number | null; cause?: unknown } = {},
  ) {
    super(message, { cause: more.cause })
    this.name = 'ArtifactError'
    this.retry = retry
    this.afterMs = more.afterMs ?? null
  }
}
