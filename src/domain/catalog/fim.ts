/** Fill-in-the-middle: how a model was taught to read what stands before and after a gap. Rules: SPEC.md. */
import type { VersionName } from '../units.ts'
import { parseVersionName } from './version-name.ts'

type FimParts = { prefix: string; suffix: string }

type Format = {
  /** Tested against the base model's name. */
  models: RegExp
  /** Models of that name which never learned it: they would answer nonsense. */
  except: RegExp | null
  render: (parts: FimParts) => string
}

const starcoder: Format['render'] = ({ prefix, suffix }) => `<fim_prefix>${prefix}<fim_suffix>${suffix}<fim_middle>`
const qwen: Format['render'] = ({ prefix, suffix }) => `<|fim_prefix|>${prefix}<|fim_suffix|>${suffix}<|fim_middle|>`

/** Only what its makers or an engine's source say; a guess would be answered with nonsense. */
const formats: readonly Format[] = [
  // Qwen2.5-Coder's README, «file-level code completion»; for Qwen3-Coder, llama-server's --fim-qwen-30b-default.
  { models: /(^|-)qwen(2-?5|3)-coder(-|$)/, except: null, render: qwen },
  // ai.google.dev/gemma/docs/codegemma/prompt-structure. The instruction-tuned one is for chats.
  { models: /(^|-)codegemma(-|$)/, except: /(^|-)(it|instruct)(-|$)/, render: qwen },
  // The model cards of deepseek-coder and DeepSeek-Coder-V2, «code insertion». The bars are U+FF5C, the rest U+2581.
  {
    models: /(^|-)deepseek-coder(-|$)/,
    except: null,
    render: ({ prefix, suffix }) => `<｜fim▁begin｜>${prefix}<｜fim▁hole｜>${suffix}<｜fim▁end｜>`,
  },
  // Code Llama's model cards: 7B and 13B were trained to infill, the bigger ones and the Python ones were not.
  {
    models: /(^|-)code-?llama(-|$)/,
    except: /(^|-)(python|34b|70b)(-|$)/,
    render: ({ prefix, suffix }) => `<PRE> ${prefix} <SUF>${suffix} <MID>`,
  },
  // bigcode/starcoder's and starcoder2's cards; nuprl/MultiPL-E starcoder2.py, «PSM».
  { models: /(^|-)starcoder(base|2)?(-|$)/, except: null, render: starcoder },
  // stabilityai/stable-code-3b's card, «fill in middle».
  { models: /(^|-)stable-code(-|$)/, except: /(^|-)instruct(-|$)/, render: starcoder },
  // llama.cpp names <fim_prefix> Granite's (llama-vocab.cpp). Granite 4 has other tokens, and no `code` in its name.
  { models: /(^|-)granite-(\w+-)?code(-|$)/, except: null, render: starcoder },
  // Mistral's tokenizer v3: the suffix comes first. Mamba-Codestral only chats, says its maker.
  {
    models: /(^|-)codestral(-|$)/,
    except: /(^|-)(mamba|embed)(-|$)/,
    render: ({ prefix, suffix }) => `[SUFFIX]${suffix}[PREFIX]${prefix}`,
  },
  // arXiv:2506.03524 (Seed-Coder), «fill-in-the-middle»: the suffix comes first; the base model only.
  {
    models: /(^|-)seed-coder(-|$)/,
    except: /(^|-)(instruct|reasoning)(-|$)/,
    render: ({ prefix, suffix }) => `<[fim-suffix]>${suffix}<[fim-prefix]>${prefix}<[fim-middle]>`,
  },
]

/** The prompt whose continuation fills the gap; `null`: how this model was taught is not known here. */
export function fimPrompt(version: VersionName, parts: FimParts): string | null {
  const reading = parseVersionName(version)
  if (!reading.ok) return null
  const { base } = reading.name
  const format = formats.find(({ models, except }) => models.test(base) && except?.test(base) !== true)
  return format?.render(parts) ?? null
}
