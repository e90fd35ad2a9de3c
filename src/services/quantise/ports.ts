/** What quantising needs from outside: who makes the file, and the place where it comes to rest. */
import type { Quantisation } from '../../domain/catalog/index.ts'

export type QuantiseOrder = {
  /** The file, or the first part of a split one. */
  from: string
  to: string
  as: Quantisation
  threads: number
  /** Weights that were quantised already may be quantised again. */
  requantise: boolean
  /** How much each input of each tensor matters, by the tensor's name; `null`: all the same. */
  importance: ReadonlyMap<string, Float32Array> | null
}

/** Rejects with an ArtifactError that tells what went wrong, or with the signal's reason; no work goes on then. */
export type Quantiser = {
  /** The largest first. */
  readonly makes: readonly Quantisation[]
  /** What `quantise` would do, from the file's header. */
  foresee(order: QuantiseOrder, signal: AbortSignal): Promise<Foreseen>
  quantise(order: QuantiseOrder, on: { signal: AbortSignal; onTensor: (at: number, of: number) => void }): Promise<void>
}

export type Foreseen = {
  /** Of all tensors. */
  bytes: number
  changes: readonly TensorChange[]
  fallBacks: FallBack[]
  /** It gives no usable result without a file of importance. */
  importanceWanted: boolean
}

/** Types as llama.cpp spells them. */
export type TensorChange = { name: string; from: string; to: string }

/** A tensor whose rows do not divide into the blocks of the type that was wanted. */
export type FallBack = { tensor: string; wanted: string; got: string }

/** A file that appears under its name only once it is whole. All verbs throw ArtifactError. */
export type NewFile = {
  /** Where it will be. */
  readonly path: string
  /** Where it is written until then. */
  readonly temporary: string
  /** `null`: nobody tells. */
  free(): Promise<number | null>
  /** On the disk, and under its name. Refuses when another file has come to be there. */
  publish(): Promise<void>
  /** What was published stays. */
  discard(): Promise<void>
}
