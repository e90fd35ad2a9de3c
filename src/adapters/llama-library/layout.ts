/**
 * The structures of llama.cpp's C API that are passed here, member by member as include/llama.h of release v0.5.0 has
 * them, and the defaults that the library itself must give for them: who reads a shifted structure reads other numbers.
 */
import { struct, type TypeObject } from 'koffi'

type Layout = { type: TypeObject; defaults: Readonly<Record<string, unknown>> }

/** Each member: its type in C, and its default. */
type Members = Readonly<Record<string, readonly [type: string, value: unknown]>>

const pointer = ['void*', null] as const
const no = ['bool', false] as const
const yes = ['bool', true] as const
const int = (value: number) => ['int32_t', value] as const
const uint = (value: number) => ['uint32_t', value] as const
const float = (value: number) => ['float', value] as const

export const quantiseParams = layout('llama_model_quantize_params', {
  nthread: int(0),
  ftype: int(7),
  output_tensor_type: int(43),
  token_embedding_type: int(43),
  allow_requantize: no,
  quantize_output_tensor: yes,
  only_copy: no,
  pure: no,
  keep_split: no,
  dry_run: no,
  imatrix: pointer,
  kv_overrides: pointer,
  tt_overrides: pointer,
  prune_layers: pointer,
  max_buf_size: ['size_t', 8 * 1024 ** 3],
})

export const modelParams = layout('llama_model_params', {
  devices: pointer,
  tensor_buft_overrides: pointer,
  n_gpu_layers: int(-1),
  split_mode: int(1),
  load_mode: int(-1),
  lazy_mode: int(1),
  main_gpu: int(0),
  tensor_split: pointer,
  progress_callback: pointer,
  progress_callback_user_data: pointer,
  kv_overrides: pointer,
  vocab_only: no,
  check_tensors: no,
  use_extra_bufts: yes,
  no_host: no,
  no_alloc: no,
  load_mtp: no,
})

export const contextParams = layout('llama_context_params', {
  n_ctx: uint(512),
  n_batch: uint(2048),
  n_ubatch: uint(512),
  n_seq_max: uint(1),
  n_rs_seq: uint(0),
  n_outputs_max: uint(0),
  n_outputs_max_per_seq: uint(1),
  n_threads: int(4),
  n_threads_batch: int(4),
  ctx_type: int(0),
  rope_scaling_type: int(-1),
  pooling_type: int(-1),
  attention_type: int(-1),
  flash_attn_type: int(-1),
  rope_freq_base: float(0),
  rope_freq_scale: float(0),
  yarn_ext_factor: float(-1),
  yarn_attn_factor: float(-1),
  yarn_beta_fast: float(-1),
  yarn_beta_slow: float(-1),
  yarn_orig_ctx: uint(0),
  defrag_thold: float(-1),
  cb_eval: pointer,
  cb_eval_user_data: pointer,
  type_k: int(1),
  type_v: int(1),
  abort_callback: pointer,
  abort_callback_data: pointer,
  embeddings: no,
  offload_kqv: yes,
  no_perf: yes,
  op_offload: yes,
  swa_full: yes,
  kv_unified: no,
  samplers: pointer,
  n_samplers: ['size_t', 0],
  ctx_other: pointer,
})

export const batch = struct('llama_batch', {
  n_tokens: 'int32_t',
  token: 'void*',
  embd: 'void*',
  pos: 'void*',
  n_seq_id: 'void*',
  seq_id: 'void*',
  logits: 'void*',
})

export const importanceData = struct('llama_model_imatrix_data', { name: 'void*', data: 'void*', size: 'size_t' })

/** The first member that the library fills in otherwise; `null`: all is as expected. */
export function firstOddMember({ defaults }: Layout, given: Readonly<Record<string, unknown>>): string | null {
  return Object.keys(defaults).find(name => given[name] !== defaults[name]) ?? null
}

function layout(name: string, members: Members): Layout {
  const types = Object.entries(members).map(([member, [type]]) => [member, type])
  const defaults = Object.entries(members).map(([member, [, value]]) => [member, value])
  return { type: struct(name, Object.fromEntries(types)), defaults: Object.fromEntries(defaults) }
}
