import { expect, test } from 'vitest'
import { readLogLine } from './log-lines.ts'

/** Lines as release v0.5.0 writes them: the smoke model, quantised here. */
test.each([
  [
    '[   2/  38] token_embd.weight                    - [   192,   1536,      1,      1], type =   q8_0, converting to f16 .. size =     0.30 MiB ->     0.56 MiB',
    { tells: 'tensor', change: { name: 'token_embd.weight', from: 'q8_0', to: 'f16' }, at: 2, of: 38 },
  ],
  [
    '[   1/  38] output_norm.weight                   - [   192,      1,      1,      1], type =    f32, size =    0.001 MiB',
    { tells: 'tensor', change: { name: 'output_norm.weight', from: 'f32', to: 'f32' }, at: 1, of: 38 },
  ],
  [
    '[  36/  38] blk.3.ffn_gate.weight                - [   192,    512,      1,      1], type =    f16, size =     0.19 MiB ->     0.05 MiB (iq4_nl)',
    { tells: 'tensor', change: { name: 'blk.3.ffn_gate.weight', from: 'f16', to: 'iq4_nl' }, at: 36, of: 38 },
  ],
  [
    'warning: blk.0.attn_k.weight                  - ncols    192 not divisible by 256 (required for type    q4_K) -> falling back to    q5_0',
    { tells: 'fall-back', tensor: 'blk.0.attn_k.weight', wanted: 'q4_K', got: 'q5_0' },
  ],
  ['llama_model_quantize_impl: quant size  =     1.49 MiB (6.06 BPW)', { tells: 'bytes', bytes: 1562379 }],
  [
    'llama_model_quantize_impl: WARNING: dry run completed successfully, but actually completing this quantization will require an imatrix!',
    { tells: 'importance-wanted' },
  ],
  [
    'llama_model_quantize: failed to quantize: basic_ios::clear: iostream error',
    { tells: 'problem', problem: 'the file took no more bytes' },
  ],
  [
    "gguf_init_from_reader: invalid magic characters: 'root', expected 'GGUF'",
    { tells: 'problem', problem: "invalid magic characters: 'root', expected 'GGUF'" },
  ],
  ['llama_model_loader: - kv   0:                       general.architecture str              = llama', null],
])('%#', (line, told) => {
  expect(readLogLine(line)).toEqual(told)
})
