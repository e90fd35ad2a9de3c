/** The weights in memory: one model, one context of N sequences, its chat template, and embeddings on demand. */
import { statSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { getLlama, LlamaLogLevel, TokenBias } from 'node-llama-cpp'
import type {
  LlamaContextSequence,
  LlamaEmbeddingContext,
  LlamaGrammar,
  LlamaModel,
  LlamaText,
  Token,
} from 'node-llama-cpp'
import type { Logger } from 'pino'
import { FaultError } from '../../domain/fault.ts'
import type { EngineAssignment } from '../../domain/serving/index.ts'
import { tokens } from '../../domain/units.ts'
import { generate } from './generation.ts'
import type { Ask, Generated, OnText } from './generation.ts'
import { toInfill } from './infill.ts'
import type { Turn } from './messages.ts'
import type { Counters } from './metrics.ts'
import { openPlaces } from './places.ts'
import type { Places } from './places.ts'
import { withoutControlTokens } from './plain-strings.ts'
import { openTemplate } from './template.ts'
import type { Given, Template } from './template.ts'
import { toTokens } from './token-list.ts'

/** Up to this size a second thread costs more than it brings: ggml's barriers spin (docs/design/0002-embedded-engine.md). */
const oneThreadBytes = 64 * 1024 * 1024

export type Embedded = { vector: readonly number[]; tokens: number }

/** `isThinking`: it ends inside a thought, which the answer goes on with. */
export type ChatPrompt = { tokens: Token[]; isThinking: boolean }

export type Weights = {
  /** Tokens of context each sequence has. */
  readonly context: number
  readonly facts: { trainContext: number; embeddingSize: number; vocabulary: number; parameters: number; bytes: number }
  readonly sequences: Places<LlamaContextSequence>
  readonly embeddings: Places<null>
  /** Throws `unsupported` where the weights have no chat template. */
  template(): Template
  /** Throws as `template` does, and `request-invalid` where the template refuses the turns. */
  renderChat(turns: readonly Turn[], given: Given): ChatPrompt
  /** The prompt to fill in what stands between; throws `unsupported` where the weights have no tokens for that. */
  infill(prefix: string, suffix: string): Token[]
  /** Throws `request-invalid` for what is no token, `unsupported` for a token that ends answers. */
  bias(byToken: Readonly<Record<string, number>> | null | undefined): TokenBias | null
  /** Text as it is; names of special tokens in it become those tokens. */
  tokenize(text: string): Token[]
  grammar(gbnf: string): Promise<LlamaGrammar>
  /** Waits for a sequence, tells `onStart`, generates, and leaves the sequence empty for the next. */
  generate(ask: Ask, on: { signal: AbortSignal; onStart?: () => Promise<void>; onText: OnText }): Promise<Generated>
  embed(input: string | Token[], signal: AbortSignal): Promise<Embedded>
  close(): Promise<void>
}

/** Loads the weights. Rejects when the file can't be read or there is no memory for it. */
export async function openWeights(
  assignment: EngineAssignment,
  { log, counters }: { log: Logger; counters: Counters },
): Promise<Weights> {
  const threads =
    assignment.threads ??
    (statSync(assignment.gguf).size < oneThreadBytes ? 1 : Math.max(1, availableParallelism() - 1))
  const llama = await getLlama({
    build: 'never',
    gpu: false,
    skipDownload: true,
    maxThreads: threads,
    progressLogs: false,
    logLevel: LlamaLogLevel.warn,
    logger: (level, message) =>
      log[level === LlamaLogLevel.error || level === LlamaLogLevel.fatal ? 'warn' : 'debug']({ llama: message.trim() }),
  })
  const model = await llama.loadModel({ modelPath: assignment.gguf, gpuLayers: 0 })
  const context = await model.createContext({
    contextSize: assignment.context ?? { max: model.trainContextSize },
    sequences: assignment.sequences,
    threads,
  })
  // llama.cpp rounds contexts up; what was assigned is what clients get.
  const contextSize = Math.min(context.contextSize, assignment.context ?? context.contextSize)
  const sequences = openPlaces(Array.from({ length: assignment.sequences }, () => context.getSequence()))
  const embeddings = openPlaces([null])
  const facts = factsOf(model)
  const jinja = model.fileInfo.metadata.tokenizer.chat_template
  const opened = jinja === undefined ? null : openTemplate(jinja)
  const template = (): Template => {
    if (opened !== null) return opened
    const instead = 'These weights have no chat template: use /v1/completions or /v1/embeddings.'
    throw new FaultError({ kind: 'unsupported', what: 'Chat', instead })
  }
  let embedder: Promise<LlamaEmbeddingContext> | null = null

  return {
    context: contextSize,
    facts,
    sequences,
    embeddings,
    template,
    renderChat(turns, given) {
      const text = renderTurns(
        template(),
        turns,
        withoutControlTokens(given, one => controlsIn(model, one)),
      )
      const isThinking = template().thinks && /<think>\s*$/.test(text.toString())
      return { tokens: withBeginning(model, text.tokenize(model.tokenizer)), isThinking }
    },
    infill(prefix, suffix) {
      const parts = { prefix: model.tokenize(prefix), suffix: model.tokenize(suffix) }
      const prompt = toInfill(model.tokens.infill, parts)
      if (prompt !== null) return withBeginning(model, prompt)
      throw new FaultError({
        kind: 'unsupported',
        what: "'suffix' on the embedded engine with these weights, which have no tokens for filling in the middle,",
        instead: 'Leave it out, or use a model made for code.',
      })
    },
    bias(byToken) {
      const entries = Object.entries(byToken ?? {})
      if (entries.length === 0) return null
      const bias = new TokenBias(model.tokenizer)
      const inVocabulary = toTokens(
        entries.map(([token]) => Number(token)),
        facts.vocabulary,
        'logit_bias',
      )
      inVocabulary.forEach((token, index) => {
        if (model.isEogToken(token)) throw endBias()
        bias.set([token], { logit: entries[index]?.[1] ?? 0 })
      })
      return bias
    },
    tokenize: text => withBeginning(model, model.tokenize(text, true)),
    async grammar(gbnf) {
      try {
        return await llama.createGrammar({ grammar: gbnf })
      } catch (cause) {
        throw new FaultError(
          {
            kind: 'unsupported',
            what: 'This JSON schema',
            instead: 'llama.cpp takes no grammar of it: make it simpler.',
          },
          { cause },
        )
      }
    },
    async generate(ask, { signal, onStart, onText }) {
      const sequence = await sequences.take(signal)
      let held = 0
      const hold = (count: number): void => {
        held += count
        counters.contextTokens += count
      }
      try {
        signal.throwIfAborted()
        await onStart?.()
        return await generate({ model, sequence }, ask, {
          signal,
          onText,
          onPrompt: count => {
            counters.promptTokens += count
            hold(count)
          },
          onToken: () => {
            counters.generationTokens++
            hold(1)
          },
        })
      } finally {
        hold(-held)
        await emptySequence(sequence, sequences)
      }
    },
    async embed(input, signal) {
      const place = await embeddings.take(signal)
      try {
        signal.throwIfAborted()
        embedder ??= model.createEmbeddingContext({ contextSize, batchSize: contextSize, threads })
        const embedding = await embedder
        const prompt = typeof input === 'string' ? model.tokenize(input) : input
        // The copy: node-llama-cpp adds the beginning token to the list it is given.
        const size = embedding.calculateInputLength([...prompt])
        if (size >= contextSize)
          throw new FaultError({ kind: 'context-exceeded', asked: tokens(size), limit: tokens(contextSize - 1) })
        const { vector } = await embedding.getEmbeddingFor([...prompt])
        counters.promptTokens += size
        return { vector: toUnit(vector), tokens: size }
      } finally {
        embeddings.give(place)
      }
    },
    close: () => llama.dispose(),
  }
}

/** The library passes over it. */
const endBias = (): FaultError =>
  new FaultError({
    kind: 'unsupported',
    what: "'logit_bias' of a token that ends the answer",
    instead: "Use 'max_tokens' or 'stop' for its length.",
  })

async function emptySequence(sequence: LlamaContextSequence, sequences: Places<LlamaContextSequence>): Promise<void> {
  try {
    await sequence.clearHistory()
    sequences.give(sequence)
  } catch {
    // A sequence that can't be emptied is exchanged for a new one: the next request must not see what is in it.
    const { context } = sequence
    await sequence.dispose()
    sequences.give(context.getSequence())
  }
}

function renderTurns(template: Template, turns: readonly Turn[], given: Given): LlamaText {
  try {
    return template.render(turns, given)
  } catch (cause) {
    const detail = cause instanceof Error ? cause.message : String(cause)
    throw new FaultError(
      {
        kind: 'request-invalid',
        param: 'messages',
        problem: `The model's chat template refuses these messages: ${detail}`,
      },
      { cause },
    )
  }
}

/** Texts of the control tokens that `text` would have as a part of the template. */
function controlsIn(model: LlamaModel, text: string): string[] {
  const controls = model.tokenize(text, true).filter(token => model.getTokenAttributes(token).control)
  return [...new Set(controls)].map(token => model.detokenize([token], true)).filter(control => control !== '')
}

function withBeginning(model: LlamaModel, prompt: Token[]): Token[] {
  const { bos, shouldPrependBosToken } = model.tokens
  return shouldPrependBosToken && bos !== null && prompt[0] !== bos ? [bos, ...prompt] : prompt
}

function factsOf(model: LlamaModel): Weights['facts'] {
  const tensors = model.fileInfo.fullTensorInfo ?? model.fileInfo.tensorInfo ?? []
  const sizes = tensors.map(tensor =>
    tensor.dimensions.reduce<number>((product, dimension) => product * Number(dimension), 1),
  )
  return {
    trainContext: model.trainContextSize,
    embeddingSize: model.embeddingVectorSize,
    vocabulary: model.fileInfo.metadata.tokenizer.ggml.tokens.length,
    parameters: sizes.reduce((sum, size) => sum + size, 0),
    bytes: model.size,
  }
}

function toUnit(vector: readonly number[]): number[] {
  const length = Math.hypot(...vector) || 1
  return vector.map(value => value / length)
}
