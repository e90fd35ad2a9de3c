/** What fetching an artifact needs from outside: a registry that has it, and a store that keeps it. */
import type { HubSource, ListedFile, PinnedFile } from '../domain/catalog/index.ts'

/** What files in the store are named by: a commit of the hub, a published version, or one file of the web. */
export type NamedSource = HubSource | { kind: 'version'; name: string } | { kind: 'web'; url: string; sha256: string }

/**
 * `offset`: where the bytes start; 0 when the registry does not go on where it was asked to. `to`: where they end,
 * exclusive; left out: with the file. `etag`: of these very bytes.
 */
export type Download = { offset: number; to?: number; etag: string | null; bytes: AsyncIterable<Uint8Array> }

/** `to` is exclusive; left out: the file's end. `etag`: of the bytes that came before. */
export type DownloadRange = { offset: number; to?: number; etag: string | null }

/** All verbs wait for the network, end with `signal`, and throw ArtifactError. */
export type Registry<Source = HubSource> = {
  /** Every file of the source; `null`: it has nothing of it. */
  list(source: Source, signal: AbortSignal): Promise<ListedFile[] | null>
  /** `null`: it has no such file. One that knows why throws instead. */
  locate(source: Source, path: string, signal: AbortSignal): Promise<PinnedFile | null>
  /** Several at once, of the same file too. With other bytes than those of `etag` it starts again. */
  read(file: PinnedFile, range: DownloadRange, signal: AbortSignal): Promise<Download>
  /** Where the file lies on this host's own disks; left out, or `null`: elsewhere. */
  lies?(file: PinnedFile): string | null
}

/** Files by their digest, and the names by which sources know them. Writes throw ArtifactError, such as on a full disk. */
export type ArtifactStore = {
  /** Where a file of a source is, or will be. */
  pathOf(source: NamedSource, path: string): string
  /** Whether the whole file is there. */
  has(source: NamedSource, path: string): boolean
  /** A small file that is there. */
  readWhole(source: NamedSource, path: string): Promise<Uint8Array>
  /** The files of a whole repository or version that was fetched with `noteWhole`, while all of them are there. */
  whole(source: NamedSource): Promise<string[] | null>
  noteWhole(source: NamedSource, paths: readonly string[]): Promise<void>
  /** Gives the file this name, too, when the store has it already; `false`: it has not. */
  name(source: NamedSource, file: PinnedFile): Promise<boolean>
  /** Whether the whole file is there, under whatever name. */
  holds(file: PinnedFile): Promise<boolean>
  /** What can still be written. */
  free(): Promise<{ bytes: number; folder: string }>
  /** How much of a file was fetched before, and how much of the disk that takes: more, where the last end left no note. */
  partBytes(file: PinnedFile): Promise<{ there: number; occupied: number }>
  /** What there is of a file, read again for its digest. `null`: another process of this host fetches it now. */
  openPart(file: PinnedFile, signal: AbortSignal): Promise<ArtifactPart | null>
  /** Takes a file of this host in without copying its bytes where the file system can do that; `false`: it can't. */
  adopt(file: PinnedFile, path: string, signal: AbortSignal): Promise<boolean>
}

/** Bytes `from` to `to`, exclusive. */
export type Extent = { from: number; to: number }

/** A file that comes, in any order. One at a time for each file, in all processes of this host. */
export type ArtifactPart = {
  /** How much of it is there. */
  readonly bytes: number
  /** What is not there, in order. */
  missing(): Extent[]
  /** Of the bytes that are there. */
  readonly etag: string | null
  /** The first four bytes, as ASCII; fewer when there are fewer. */
  readonly magic: string
  /** Empties it. */
  restart(etag: string | null): Promise<void>
  /** Several at once, at places of their own. */
  write(at: number, pieces: readonly Uint8Array[]): Promise<void>
  /** Makes the whole file, unless its digest is another one: then it is gone, and the digest it has is told. */
  finish(): Promise<{ ok: true } | { ok: false; hex: string }>
  /** Keeps what is there for later. */
  close(): Promise<void>
}
