/** What a registry needs from outside: a place that keeps objects by path. Directory, S3 and Nexus are such places. */
import type { ListedFile } from '../../domain/catalog/index.ts'

/**
 * Verbs wait for the network, end with `signal`, and throw ArtifactError (`soon`, `later`, `never`), whose message names
 * the place and says what to do; never a secret. Paths are relative, with `/`, from `registry-layout`.
 */
export type ObjectPlace = {
  /** As a person would name it: a folder, an address without what opens it. */
  readonly name: string
  /** `null`: there is no such object. */
  head(path: string, signal: AbortSignal): Promise<ObjectHead | null>
  /** `to` is exclusive; bytes that were not asked for are an error, and so is an object that is not there. */
  read(path: string, range: { from: number; to: number }, signal: AbortSignal): AsyncIterable<Uint8Array>
  /**
   * A large object, whole or not at all, under a path that its digest makes: writing it twice gives the same. What an
   * earlier, killed upload left may be gone on with. Bytes that have another digest than `sha256` are an error.
   */
  write(path: string, upload: Upload, signal: AbortSignal): Promise<void>
  /** A small object that never replaces another one: of two writers at once, one is told `exists`. Durable when it resolves. */
  create(path: string, content: Uint8Array, signal: AbortSignal): Promise<'created' | 'exists'>
  /** What is not there is removed already. */
  remove(path: string, signal: AbortSignal): Promise<void>
  /** Every object whose path begins with `prefix`, in any order. */
  list(prefix: string, signal: AbortSignal): AsyncIterable<ListedObject>
  /** What can still be written, in bytes; `null`: nobody tells. */
  free(signal: AbortSignal): Promise<number | null>
  /** Where an object lies on this host's own disks; left out: it is elsewhere. */
  lies?(path: string): string
}

export type ObjectHead = { bytes: number; modifiedAt: Date }

export type ListedObject = ObjectHead & { path: string }

/** `open` may be called several times, with any range: parts of an upload go side by side and are tried again. */
export type Upload = {
  bytes: number
  sha256: string
  open(range: { from: number; to: number }): AsyncIterable<Uint8Array>
  /** Bytes that came to rest, in all. */
  onProgress(doneBytes: number): void
}

/** Files of this host that are an artifact together. Verbs throw ArtifactError. */
export type ArtifactFiles = {
  /** As a person would name them. */
  readonly name: string
  list(): Promise<ListedFile[]>
  /** `to` is exclusive. */
  open(path: string, range: { from: number; to: number }): AsyncIterable<Uint8Array>
}

/** What time is, and how to wait. */
export type RegistryClock = {
  now(): Date
  pause(waitMs: number, signal: AbortSignal): Promise<void>
}
