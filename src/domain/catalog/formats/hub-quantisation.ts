/** How a Hugging Face model is quantised, and how many parameters its packed tensors stand for. */
import type { Settings } from './hub-config.ts'
import { openSettings } from './hub-config.ts'
import type { StoredTensor } from './safetensors.ts'
import { isRecord } from './text.ts'

/** `name`: a token of version names where there is one. `method`: as config.json has it, for engines. */
export type HubQuantisation = { name: string; method: string; bits: number }

/** `null`: it is not quantised. `other`: hf_quant_config.json, where NVIDIA's ModelOpt writes it. */
export function hubQuantisation(config: Settings, other: unknown): HubQuantisation | null {
  const said =
    config.inner('quantization_config', 'compression_config') ??
    config.inner('text_config')?.inner('quantization_config') ??
    null
  if (said !== null) return fromConfig(said)
  const modelOpt = isRecord(other) && isRecord(other['quantization']) ? openSettings(other['quantization']) : null
  return modelOpt === null ? null : fromModelOpt(modelOpt.text('quant_algo') ?? '')
}

function fromConfig(said: Settings): HubQuantisation {
  const method = (said.text('quant_method') ?? '').toLowerCase()
  const bits = said.count('bits', 'w_bit', 'weight_bits') ?? 4
  switch (method) {
    case 'awq':
    case 'gptq':
      return { name: method, method, bits }
    case 'mxfp4':
      return { name: 'mxfp4', method, bits: 4 }
    case 'fp8':
    case 'fbgemm_fp8':
      return { name: 'fp8', method, bits: 8 }
    case 'bitsandbytes': {
      const four = said.flag('load_in_4bit') === true || said.flag('_load_in_4bit') === true
      if (!four) return { name: 'int8', method, bits: 8 }
      return { name: said.text('bnb_4bit_quant_type') === 'fp4' ? 'fp4' : 'nf4', method, bits: 4 }
    }
    case 'compressed-tensors':
      return fromCompressedTensors(said)
    case 'modelopt':
      return fromModelOpt(said.text('quant_algo') ?? '')
    default:
      return { name: method === '' ? 'unknown' : method.slice(0, 40), method, bits }
  }
}

/** llm-compressor: what it does to weights stands in its groups. */
function fromCompressedTensors(said: Settings): HubQuantisation {
  const method = 'compressed-tensors'
  const groups = Object.values(said.inner('config_groups')?.raw ?? {})
  const weights = groups.flatMap(group =>
    isRecord(group) && isRecord(group['weights']) ? [openSettings(group['weights'])] : [],
  )
  const [first] = weights
  const bits = first?.count('num_bits') ?? 8
  const kind = first?.text('type') ?? 'float'
  if ((said.text('format') ?? '').startsWith('nvfp4')) return { name: 'nvfp4', method, bits: 4 }
  if ((said.text('format') ?? '').startsWith('mxfp4')) return { name: 'mxfp4', method, bits: 4 }
  if (kind === 'int') return { name: bits === 8 ? 'int8' : `int${bits}`, method, bits }
  return { name: bits === 8 ? 'fp8' : `fp${bits}`, method, bits }
}

function fromModelOpt(algorithm: string): HubQuantisation {
  const method = 'modelopt'
  if (/NVFP4/i.test(algorithm)) return { name: 'nvfp4', method, bits: 4 }
  if (/FP8/i.test(algorithm)) return { name: 'fp8', method, bits: 8 }
  if (/AWQ/i.test(algorithm)) return { name: 'awq', method, bits: 4 }
  return { name: algorithm === '' ? 'unknown' : algorithm.toLowerCase().slice(0, 40), method, bits: 8 }
}

/** Beside the weights of a quantised layer; none of it is the model's own. */
const helper =
  /(\.|_)(scales?|scale_inv|scale_2|weight_scale(_inv|_2)?|zero_point|zeros|qzeros|g_idx|absmax|quant_map|SCB|weight_shape|weight_format|global_scale|bitsandbytes__\w+)$/
const packedName = /(\.qweight|\.weight_packed|_blocks|\.W_q)$/
const wordBits = new Map([
  ['I32', 32],
  ['U32', 32],
  ['I64', 64],
  ['U8', 8],
  ['I8', 8],
])

/** How many parameters of the model a stored tensor stands for. */
export function parametersOf({ name, type, values }: StoredTensor, quantisation: HubQuantisation | null): number {
  if (quantisation === null) return values
  if (helper.test(name)) return 0
  const word = wordBits.get(type)
  const packed = packedName.test(name) || (quantisation.bits < 8 && name.endsWith('.weight') && type === 'U8')
  return packed && word !== undefined ? Math.round((values * word) / quantisation.bits) : values
}

/** The types of unquantised files, as version names spell them. */
const plain = new Map([
  ['BF16', 'bf16'],
  ['F16', 'fp16'],
  ['F32', 'fp32'],
  ['F8_E4M3', 'fp8'],
  ['F8_E5M2', 'fp8'],
  ['I8', 'int8'],
])

export const plainName = (type: string): string => plain.get(type) ?? type.toLowerCase()
