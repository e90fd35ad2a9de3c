/** What inspecting a model needs from outside: a place where its files are, read in pieces. */
import type { ListedFile } from '../domain/catalog/index.ts'

/** A folder, a repository or an address. All verbs throw ArtifactError, and end with the signal it was opened with. */
export type ModelPlace = {
  /** As a spec or a person would name it; a repository with its commit. */
  readonly name: string
  /** The file that is asked about; `null`: the place as a whole. */
  readonly file: string | null
  /** Every file with its size; `null`: nobody tells what is here, and files are opened by name. */
  list(): Promise<ListedFile[] | null>
  /** `null`: there is no such file. */
  open(path: string): Promise<ModelFile | null>
}

export type ModelFile = {
  /** Infinity: nobody tells. */
  readonly bytes: number
  /** Fewer where the file ends. */
  read(at: number, bytes: number): Promise<Uint8Array>
  close(): Promise<void>
}
