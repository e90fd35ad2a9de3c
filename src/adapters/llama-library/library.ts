/** llama.cpp's own library, as it lies beside the embedded engine, called through its C API. Only for a process of its own. */
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { alloc, array, config, decode, free, load, pointer, view, type LibraryHandle } from 'koffi'
import { batch, contextParams, firstOddMember, modelParams, quantiseParams } from './layout.ts'

declare const tag: unique symbol
/** An address that the library gave; only it knows what is there. */
type Handle<Name extends string> = { readonly [tag]: Name }
export type Model = Handle<'model'>
export type Vocabulary = Handle<'vocabulary'>
export type Context = Handle<'context'>

type Params = Readonly<Record<string, unknown>>
export type QuantiseParams = {
  nthread: number
  ftype: number
  allow_requantize: boolean
  dry_run: boolean
  imatrix: unknown
}

export type Library = {
  /** 0: done. What it does, and why it could not, it tells on standard error. */
  quantise(from: string, to: string, params: QuantiseParams): Promise<number>
  /** `null`: it can't, and has told why on standard error. */
  loadModel(path: string): Promise<Model | null>
  vocabularyOf(model: Model): Vocabulary
  vocabularySize(vocabulary: Vocabulary): number
  textOf(vocabulary: Vocabulary, token: number): string
  /** The token that texts begin with; `null`: this model wants none. */
  beginning(vocabulary: Vocabulary): number | null
  tokenize(vocabulary: Vocabulary, text: string): Int32Array
  openContext(model: Model, sizes: { context: number; batch: number; threads: number }): Context | null
  forget(context: Context): void
  /** Takes tokens after those before; `wanted`: for which of them logits are kept. 0: done. */
  decode(context: Context, tokens: Int32Array, wanted: Int8Array): Promise<number>
  /** After the last `decode`, of its token `at`; a copy. */
  logits(context: Context, at: number, size: number): Float32Array
}

/** The build that `layout.ts` was written for. */
const expected = { library: '0.5.0-dev', tensors: '0.25.1', commit: '0ad4a86' }

/** The C code runs on a stack that koffi gives it; the usual 128 KiB is far less than the system's 8 MiB. */
const stackBytes = 16 * 1024 * 1024

/** Throws an Error that says what is missing or different. */
export function openLibrary(): Library {
  const folder = libraryFolder()
  config({ sync_stack_size: stackBytes, async_stack_size: stackBytes })
  const base = load(join(folder, 'libggml-base.so'), { global: true })
  const ggml = load(join(folder, 'libggml.v0.5.0.so'), { global: true })
  const llama = load(join(folder, 'libllama.v0.5.0.so'))
  checkBuild(llama, base)
  const defaults = checkLayouts(llama)
  const loadBackends: (folder: string) => void = ggml.func('void ggml_backend_load_all_from_path(const char *folder)')
  // The folder has one for each kind of processor; the best that this one can run is taken.
  loadBackends(folder)
  return { ...quantising(llama, defaults.quantise), ...vocabularies(llama), ...evaluation(llama, defaults) }
}

type Defaults = { quantise: Params; model: Params; context: Params }

function quantising(llama: LibraryHandle, defaults: Params): Pick<Library, 'quantise'> {
  const call = llama.func('llama_model_quantize', 'uint32_t', ['str', 'str', pointer(quantiseParams.type)])
  const quantise = promisify<string, string, Params, number>(call.async)
  return { quantise: (from, to, params) => quantise(from, to, { ...defaults, ...params }) }
}

function vocabularies(
  llama: LibraryHandle,
): Pick<Library, 'vocabularyOf' | 'vocabularySize' | 'textOf' | 'beginning' | 'tokenize'> {
  const addsBeginning: (of: Vocabulary) => boolean = llama.func('llama_vocab_get_add_bos', 'bool', ['void*'])
  const beginning: (of: Vocabulary) => number = llama.func('llama_vocab_bos', 'int32_t', ['void*'])
  const types = ['void*', 'void*', 'int32_t', 'void*', 'int32_t', 'bool', 'bool']
  // Text, its bytes, room for tokens and its size, whether to begin as texts begin, whether names of tokens are tokens.
  const tokenize: (of: Vocabulary, ...rest: (Uint8Array | Int32Array | number | boolean)[]) => number = llama.func(
    'llama_tokenize',
    'int32_t',
    types,
  )
  return {
    vocabularyOf: llama.func('llama_model_get_vocab', 'void*', ['void*']),
    vocabularySize: llama.func('llama_vocab_n_tokens', 'int32_t', ['void*']),
    textOf: llama.func('llama_vocab_get_text', 'str', ['void*', 'int32_t']),
    beginning: of => (addsBeginning(of) ? beginning(of) : null),
    tokenize(of, text) {
      const bytes = new TextEncoder().encode(text)
      // No token is shorter than a byte; one for the beginning, one for the end.
      const room = new Int32Array(bytes.length + 2)
      const count = tokenize(of, bytes, bytes.length, room, room.length, true, false)
      if (count < 0) throw new Error(`the text can’t be split into tokens (${count})`)
      return room.subarray(0, count)
    },
  }
}

function evaluation(
  llama: LibraryHandle,
  defaults: Defaults,
): Pick<Library, 'loadModel' | 'openContext' | 'forget' | 'decode' | 'logits'> {
  const loadCall = llama.func('llama_model_load_from_file', 'void*', ['str', modelParams.type])
  const loadModel = promisify<string, Params, Model | null>(loadCall.async)
  const initCall = llama.func('llama_init_from_model', 'void*', ['void*', contextParams.type])
  const openContext: (model: Model, params: Params) => Context | null = initCall
  const memoryOf: (context: Context) => unknown = llama.func('llama_get_memory', 'void*', ['void*'])
  const clear: (memory: unknown, data: boolean) => void = llama.func('llama_memory_clear', 'void', ['void*', 'bool'])
  const decodeCall = llama.func('llama_decode', 'int32_t', ['void*', batch])
  const decodeBatch = promisify<Context, Params, number>(decodeCall.async)
  const logits: (context: Context, at: number) => unknown = llama.func('llama_get_logits_ith', 'void*', [
    'void*',
    'int32_t',
  ])
  return {
    loadModel: path => loadModel(path, defaults.model),
    openContext: (model, { context, batch: tokens, threads }) =>
      openContext(model, {
        ...defaults.context,
        ...{ n_ctx: context, n_batch: tokens, n_ubatch: tokens, n_threads: threads, n_threads_batch: threads },
        // Logits are wanted of many tokens at once, not of the last alone.
        ...{ n_outputs_max: tokens, n_outputs_max_per_seq: tokens },
      }),
    forget(context) {
      const memory = memoryOf(context)
      if (memory !== null) clear(memory, true)
    },
    async decode(context, tokens, wanted) {
      // Memory of the library's side: the call runs beside this thread, whose own arrays may move.
      const token = alloc('int32_t', tokens.length)
      const output = alloc('int8_t', wanted.length)
      try {
        new Int32Array(view(token, tokens.byteLength)).set(tokens)
        new Int8Array(view(output, wanted.byteLength)).set(wanted)
        // Without positions and sequences: after what came before, in the first sequence.
        const rest = { embd: null, pos: null, n_seq_id: null, seq_id: null }
        return await decodeBatch(context, { n_tokens: tokens.length, token, logits: output, ...rest })
      } finally {
        free(token)
        free(output)
      }
    },
    logits(context, at, size) {
      const address = logits(context, at)
      if (address === null) throw new Error(`there are no logits of token ${at}`)
      const copy: Float32Array = decode(address, array('float', size, 'Typed'))
      return copy
    },
  }
}

function libraryFolder(): string {
  const system = `${process.platform}-${process.arch}`
  if (!['linux-x64', 'linux-arm64'].includes(system))
    throw new Error(`llama.cpp’s library comes with Holdfast for linux-x64 and linux-arm64, and this is ${system}`)
  const engine = createRequire(fileURLToPath(import.meta.resolve('node-llama-cpp')))
  try {
    return join(dirname(engine.resolve(`@node-llama-cpp/${system}`)), '..', 'bins', system)
  } catch (error) {
    throw new Error(`the package @node-llama-cpp/${system} is not installed: run npm ci without --omit=optional`, {
      cause: error,
    })
  }
}

function checkBuild(llama: LibraryHandle, base: LibraryHandle): void {
  const library: () => string = llama.func('const char *llama_version()')
  const tensors: () => string = base.func('const char *ggml_version()')
  const commit: () => string = base.func('const char *ggml_commit()')
  const found = { library: library(), tensors: tensors(), commit: commit() }
  const say = (build: typeof found): string => `${build.library} (ggml ${build.tensors}, ${build.commit})`
  if (say(found) !== say(expected))
    throw new Error(
      `the llama.cpp library here is ${say(found)}, and this Holdfast knows how to call ${say(expected)}: install the node-llama-cpp that package-lock.json names (npm ci)`,
    )
}

function checkLayouts(llama: LibraryHandle): Defaults {
  const read = (layout: typeof modelParams, name: string): Params => {
    const given: Params = llama.func(name, layout.type, [])()
    const odd = firstOddMember(layout, given)
    if (odd === null) return given
    throw new Error(
      `the llama.cpp library here starts with ${odd} = ${String(given[odd])} where ${String(layout.defaults[odd])} was expected: it is another build, and is not called`,
    )
  }
  return {
    quantise: read(quantiseParams, 'llama_model_quantize_default_params'),
    model: read(modelParams, 'llama_model_default_params'),
    context: read(contextParams, 'llama_context_default_params'),
  }
}
