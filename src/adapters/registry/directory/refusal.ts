/** What a disk refuses, told with its folder and what to do. */
import { ArtifactError } from '../../../domain/catalog/index.ts'

export async function onDisk<T>(root: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const code = codeOf(error)
    if (code === null) throw error
    const { retry, say } = refusals[code] ?? { retry: 'later', say: failing(code) }
    throw new ArtifactError(retry, say(root), { cause: error })
  }
}

export const noHardLinks = (folder: string): ArtifactError =>
  new ArtifactError(
    'never',
    `the file system of ${folder} has no hard links, and without them two publishers could both win: keep the registry on another one (ext4, XFS, NFS)`,
  )

/** `null`: it is not the system's. */
export const codeOf = (error: unknown): string | null =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null

type Refusal = { retry: 'soon' | 'later' | 'never'; say: (root: string) => string }

const full: Refusal = {
  retry: 'later',
  say: root =>
    `the disk of the registry ${root} is full: free some space there, for instance with 'holdfast model prune', or give it a larger disk`,
}

const denied: Refusal = {
  retry: 'later',
  say: root =>
    `this user may not do that in the registry ${root}: give it the right to, or run this as the user that owns the folder`,
}

const refusals: Readonly<Record<string, Refusal>> = {
  ENOSPC: full,
  EDQUOT: full,
  EROFS: {
    retry: 'later',
    say: root => `the registry ${root} is mounted read-only: mount it for writing, or push from a host that has it so`,
  },
  EACCES: denied,
  EPERM: denied,
  ENOTDIR: {
    retry: 'never',
    say: root =>
      `the registry ${root} is not a folder, or something in it is a file where a folder belongs: look at it`,
  },
}

const failing =
  (code: string) =>
  (root: string): string =>
    `the disk of the registry ${root} refuses (${code}): look at it, and try again`
