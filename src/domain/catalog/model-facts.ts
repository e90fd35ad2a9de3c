/** What a model's own files say of it: enough to tell what it needs, what it can do, and who runs it. */

/** Bytes and counts are whole numbers; parameters may pass 2^32, never 2^53. */
export type ModelFacts = {
  format: ModelFormat
  /** As the files spell it: GGUF's `general.architecture`, else `model_type` of config.json. `null`: they don't say. */
  architecture: string | null
  parameters: { total: number; /** Used for one token. */ active: number } | null
  layers: number | null
  /** Longest sequence that it was made for, in tokens. */
  contextLength: number | null
  hidden: number | null
  vocabulary: number | null
  /** Heads of queries in one layer. */
  heads: number | null
  /** Layers grouped by what they keep of each token; their counts add up to `layers`. Empty: nothing is known. */
  attention: AttentionGroup[]
  experts: { count: number; used: number; shared: number } | null
  quantisation: {
    /** A token of version names where there is one (`q4-k-m`, `awq`, `mxfp4`), else what the files call it. */
    name: string
    /** Over all its parameters. */
    bitsPerWeight: number
  } | null
  /** All weight files together. */
  bytes: number
  /** Where the bytes are, so that parts of it can be put elsewhere; `null`: only `bytes` is known. */
  parts: WeightParts | null
}

export type ModelFormat = 'gguf' | 'safetensors' | 'pytorch' | 'onnx' | 'tensorflow' | 'tensorrt'

export type AttentionGroup =
  /** Keys and values of every token, `kvHeads` of them. Multi-head when `kvHeads` is the number of heads, else grouped. */
  | { kind: 'full'; layers: number; kvHeads: number; keyLength: number; valueLength: number }
  /** The same of the last `window` tokens only. */
  | { kind: 'sliding'; layers: number; kvHeads: number; keyLength: number; valueLength: number; window: number }
  /** Multi-head latent attention: one compressed vector and one rotary key of each token, whatever the number of heads. */
  | { kind: 'latent'; layers: number; rank: number; rotary: number }
  /** State space or linear attention: a state of one size, however long the sequence. */
  | { kind: 'state'; layers: number; bytesPerSequence: number }

export type WeightParts = {
  embedding: number
  /** What turns the last layer into tokens; 0 when it is the embedding. */
  output: number
  /** One a layer, in order. */
  layers: { dense: number; experts: number }[]
  /** Everything else (vision tower, norms, multi-token prediction). */
  other: number
}
