/** Which engines take a model, and why the others don't. Of the programs as their documents described them in 2026-08. */
import { unknownType } from './ggml-types.ts'
import type { ModelReport } from './report.ts'

export type EngineVerdict = { engine: string; ok: boolean; why: string }

export type EngineQuestion = {
  report: ModelReport
  /** Of config.json; `null`: not quantised. */
  quantisationMethod: string | null
  hasConfig: boolean
  /** Weight files. */
  files: number
  /** GGUF's; engines read little-endian files on the machines that people have. */
  bigEndian: boolean
  /** TorchScript, which brings its own program. */
  torchScript: boolean
  /** TensorRT-LLM's own folder: engines and a config.json. */
  builtForTensorRtLlm: boolean
}

/** One for each kind of engine that a version may name. */
export function judgeEngines(question: EngineQuestion): EngineVerdict[] {
  return [
    { engine: 'llama-cpp', ...llamaCpp(question, 'llama-server') },
    { engine: 'embedded', ...llamaCpp(question, 'the llama.cpp inside Holdfast') },
    { engine: 'ollama', ...ollama(question) },
    { engine: 'vllm', ...transformers(question, vllm) },
    { engine: 'sglang', ...transformers(question, sglang) },
    { engine: 'tgi', ...transformers(question, tgi) },
    { engine: 'tensorrt-llm', ...tensorRtLlm(question) },
    { engine: 'triton', ...triton(question) },
  ]
}

type Verdict = Omit<EngineVerdict, 'engine'>
const yes = (why: string): Verdict => ({ ok: true, why })
const no = (why: string): Verdict => ({ ok: false, why })

const merge = 'join its parts first: llama-gguf-split --merge <first part> <one file>'

function llamaCpp({ report, bigEndian }: EngineQuestion, program: string): Verdict {
  switch (report.format) {
    case 'gguf':
      if (bigEndian) return no('the file is big-endian, for machines such as s390x: take the usual one')
      if (report.architecture === null) return no('the file does not name its architecture (general.architecture)')
      return report.tensorTypes.some(({ type }) => type.startsWith(unknownType))
        ? yes(`if ${program} knows its newer tensor types`)
        : yes(`GGUF is what ${program} reads`)
    case 'safetensors':
    case 'pytorch':
      return no('it reads GGUF: convert with llama.cpp’s convert_hf_to_gguf.py, then llama-quantize')
    default:
      return no(`it reads GGUF, and ${formatNames[report.format]} can’t be converted to it`)
  }
}

const formatNames: Record<ModelReport['format'], string> = {
  gguf: 'GGUF',
  safetensors: 'safetensors',
  pytorch: 'a PyTorch file',
  onnx: 'ONNX',
  tensorflow: 'a TensorFlow model',
  tensorrt: 'a compiled engine',
}

/** ollama docs/import.md. */
const ollamaClasses = /^(Llama|Mistral|Mixtral|Gemma|Gemma2|Gemma3|Phi3)For(CausalLM|ConditionalGeneration)$/

function ollama(question: EngineQuestion): Verdict {
  const { report, files, quantisationMethod } = question
  if (report.format === 'gguf') {
    const verdict = llamaCpp(question, 'Ollama')
    if (!verdict.ok) return verdict
    return files > 1 ? no(merge) : yes('with a Modelfile: FROM ./<file>, then ollama create')
  }
  if (report.format !== 'safetensors') return no(`it imports GGUF and safetensors, not ${formatNames[report.format]}`)
  if (quantisationMethod !== null) return no('it imports safetensors only unquantised: take a GGUF of this model')
  return ollamaClasses.test(report.modelClass ?? '')
    ? yes('with a Modelfile: FROM <folder>, then ollama create, which converts it')
    : no(
        `it imports safetensors of Llama, Mistral, Gemma and Phi 3, not of ${report.modelClass ?? 'an unknown class'}: take a GGUF of this model`,
      )
}

type Program = { name: string; quantisations: ReadonlySet<string>; gguf: ReadonlySet<string> | null; pickles: boolean }

/** docs.vllm.ai/en/latest/features/quantization; GGUF: what transformers reads of it. */
const ggufClasses = new Set(
  'llama mistral qwen2 qwen2moe qwen3 qwen3moe phi3 bloom falcon stablelm gpt2 starcoder2 gemma2 gemma3 mamba nemotron lfm2'.split(
    ' ',
  ),
)
const vllm: Program = {
  name: 'vLLM',
  quantisations: new Set(
    'awq gptq fp8 fbgemm_fp8 mxfp4 compressed-tensors modelopt bitsandbytes quark torchao auto-round hqq'.split(' '),
  ),
  gguf: ggufClasses,
  pickles: true,
}
const sglang: Program = {
  name: 'SGLang',
  quantisations: new Set(
    'awq gptq fp8 mxfp4 compressed-tensors modelopt bitsandbytes quark torchao auto-round'.split(' '),
  ),
  gguf: ggufClasses,
  pickles: true,
}
const tgi: Program = {
  name: 'TGI',
  quantisations: new Set('awq gptq fp8 compressed-tensors bitsandbytes'.split(' ')),
  gguf: null,
  pickles: true,
}

/** Families that all three name in their lists of supported models. */
const families =
  /^(Llama|Llama4|Mistral|Mistral3|Mixtral|Ministral|Qwen2|Qwen2Moe|Qwen2VL|Qwen2_5_VL|Qwen3|Qwen3Moe|Qwen3Next|Qwen3VL|Qwen3VLMoe|Qwen3_5|Qwen3_5Moe|Gemma|Gemma2|Gemma3|Gemma3n|Gemma4|Phi|Phi3|PhiMoE|GptOss|Deepseek|DeepseekV2|DeepseekV3|DeepseekV32|KimiK2|KimiLinear|Glm|Glm4|Glm4Moe|Cohere|Cohere2|Command|Falcon|FalconH1|FalconMamba|Mamba|Mamba2|Jamba|Bamba|NemotronH|Nemotron|Granite|GraniteMoe|GraniteMoeHybrid|Olmo|Olmo2|Olmo3|OlmoE|Starcoder2|GPTBigCode|GPTNeoX|GPT2|GPTJ|Bloom|Opt|OPT|MPT|Dbrx|Exaone|Exaone4|InternLM2|InternLM3|MiniCPM|MiniCPM3|StableLm|Ernie4_5|Ernie4_5_Moe|Lfm2|Seed_?Oss|SmolLM3|MiniMaxM1|MiniMaxM2|Bert|Roberta|XLMRoberta|ModernBert)(For\w+|LMHeadModel|Model)$/

function transformers(question: EngineQuestion, program: Program): Verdict {
  const { report, quantisationMethod, hasConfig } = question
  if (report.format === 'gguf') return ggufIn(question, program)
  if (report.format !== 'safetensors' && report.format !== 'pytorch')
    return no(`it loads safetensors with a config.json, not ${formatNames[report.format]}`)
  if (!hasConfig) return no('there is no config.json beside the weights: fetch the whole repository')
  const refused = refusedImports(report)
  if (refused !== null) return no(refused)
  if (quantisationMethod !== null && !program.quantisations.has(quantisationMethod))
    return no(`it does not read weights quantised by '${quantisationMethod || 'an unnamed method'}'`)
  if (!families.test(report.modelClass ?? ''))
    return no(
      `${report.modelClass ?? 'a model without a class'} is not among the architectures that are known here to work in ${program.name}: try it, with --trust-remote-code only if you trust its code`,
    )
  return report.format === 'pytorch'
    ? yes('a pickle without code of its own; safetensors of the same model load faster and can’t hold any')
    : yes(
        quantisationMethod === null
          ? 'safetensors with a known architecture'
          : `safetensors, quantised by ${quantisationMethod}, with a known architecture`,
      )
}

function ggufIn({ report, files, bigEndian }: EngineQuestion, program: Program): Verdict {
  if (program.gguf === null) return no('it does not read GGUF here: take the safetensors of this model')
  if (bigEndian) return no('the file is big-endian')
  if (files > 1) return no(`it reads GGUF from one file: ${merge}`)
  if (!program.gguf.has(report.architecture ?? ''))
    return no(
      `its reader of GGUF does not know ${report.architecture ?? 'this architecture'}: take the safetensors of this model`,
    )
  return yes(
    'but experimental and slow, says its documentation: give it the base model’s --tokenizer, or better take safetensors',
  )
}

function refusedImports({ pickle }: ModelReport): string | null {
  const refused = pickle?.imports.filter(({ verdict }) => verdict === 'refused').map(({ name }) => name) ?? []
  if (refused.length === 0) return null
  return `loading it would run code (${refused.slice(0, 3).join(', ')}${refused.length > 3 ? ', …' : ''}): take safetensors, or allow each by name if you know what it does`
}

/** docs: TensorRT-LLM's PyTorch backend, «supported models» and «quantization». */
const tensorRtFamilies =
  /^(Llama|Llama4|Mistral|Mistral3|Mixtral|Qwen2|Qwen2Moe|Qwen2VL|Qwen2_5_VL|Qwen3|Qwen3Moe|Qwen3Next|Gemma3|Phi3|Phi4MM|GptOss|DeepseekV3|DeepseekV32|KimiK2|Glm4Moe|Exaone4|Nemotron|NemotronH|NemotronNAS|Bert)For\w+$/
const tensorRtQuantisations = new Set(['fp8', 'modelopt', 'mxfp4'])

function tensorRtLlm({ report, quantisationMethod, hasConfig, builtForTensorRtLlm }: EngineQuestion): Verdict {
  if (report.format === 'tensorrt')
    return builtForTensorRtLlm
      ? yes(
          'with --backend tensorrt, on the kind of GPU and the version that it was built for, which only loading it shows',
        )
      : no('it is a plain TensorRT engine, without the config.json that trtllm-build writes')
  if (report.format !== 'safetensors')
    return no(`it loads safetensors or its own engines, not ${formatNames[report.format]}`)
  if (!hasConfig) return no('there is no config.json beside the weights: fetch the whole repository')
  if (quantisationMethod !== null && !tensorRtQuantisations.has(quantisationMethod))
    return no(
      `it does not read weights quantised by '${quantisationMethod}': take FP8 or NVFP4 of ModelOpt, or quantise with it`,
    )
  return tensorRtFamilies.test(report.modelClass ?? '')
    ? yes('safetensors with an architecture of its PyTorch backend')
    : no(
        `${report.modelClass ?? 'a model without a class'} is not among the architectures that are known here to work in its PyTorch backend`,
      )
}

function triton(question: EngineQuestion): Verdict {
  const { report, torchScript, builtForTensorRtLlm } = question
  switch (report.format) {
    case 'onnx':
      return yes('with its onnxruntime backend; serving text needs tokenising around it')
    case 'tensorflow':
      return yes('with its TensorFlow backend, which newer releases leave out')
    case 'tensorrt':
      return yes(
        `with its ${builtForTensorRtLlm ? 'TensorRT-LLM' : 'TensorRT'} backend, on the GPU and version that it was built for`,
      )
    case 'pytorch':
      if (torchScript)
        return yes('with its PyTorch backend: TorchScript, which is a program; run it only if you trust it')
      return no('its PyTorch backend takes TorchScript, and this is weights alone')
    case 'safetensors': {
      const verdict = transformers(question, vllm)
      return verdict.ok ? yes('with its vLLM backend') : verdict
    }
    case 'gguf':
      return no('none of its backends reads GGUF')
    default:
      return report.format satisfies never
  }
}
