/** What the disk refuses, told with its folder. */
import { ArtifactError } from '../../domain/catalog/index.ts'

export async function onDisk<T>(root: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (!(error instanceof Error) || error instanceof ArtifactError) throw error
    // An abort has a code, too, and it is a number.
    if (!('code' in error) || typeof error.code !== 'string') throw error
    const full = error.code === 'ENOSPC' || error.code === 'EDQUOT'
    throw new ArtifactError(
      'later',
      full
        ? `the disk of ${root} is full: free some space there, or set HOLDFAST_HOME to a folder on a larger disk`
        : `${root} can't be written (${error.message}): mend that, or set HOLDFAST_HOME to another folder`,
      { cause: error },
    )
  }
}
