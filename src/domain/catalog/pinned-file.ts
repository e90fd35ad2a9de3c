/** One file of an artifact, exactly, and what is thrown when it can't be had. */

/** `git-sha1`: git's own name of a small file that is kept in git itself. */
export type FileDigest = { algorithm: 'sha256' | 'git-sha1'; hex: string }

/** One file of a repository, exactly: what it holds can't change any more. */
export type PinnedFile = {
  /** Or what else has it: a published version, a host of the web. */
  repository: string
  /** 40 hex digits; empty where there are no commits. */
  commit: string
  path: string
  bytes: number
  digest: FileDigest
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
