/** Models of this machine that llama.cpp works on: what they are, and where their first file lies. */
import { dirname, join } from 'node:path'
import { openLocalPlace } from '../../../adapters/model-files/index.ts'
import { ArtifactError } from '../../../domain/catalog/index.ts'
import { inspectModel, type Inspection } from '../../../services/inspect-model.ts'
import { CliError } from '../client.ts'

export type LocalModel = { inspection: Inspection; path: string }

/** Throws ArtifactError. Of a split model any part may be named. */
export async function readLocalModel(named: string, signal: AbortSignal): Promise<LocalModel> {
  const place = await openLocalPlace(named)
  const inspection = await inspectModel({ place, allowedImports: new Set(), signal })
  const folder = place.file === null ? named : dirname(named)
  const [first] = inspection.files
  return { inspection, path: join(folder, first?.path ?? place.file ?? '') }
}

/** What it says of a file becomes the command's own answer. */
export async function sayingNo<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    if (signal.aborted) throw new CliError('Stopped: nothing was kept.', 1, { cause: error })
    if (error instanceof ArtifactError) throw new CliError(`${error.message}.`, 1, { cause: error })
    throw error
  }
}
