/**
 * What is declared: clients and their dialects, what each is tried on, the engines, and how each cell of that table turns
 * out. The suite proves every cell; docs/reference/conformance.md shows them.
 */
import type { Behaviour } from '../../tools/fake-engine/index.ts'

type EngineKind = Behaviour['dialect']

/** What conversations are tried on, in every dialect that has them. */
export const conversing = [
  'answer',
  'streaming',
  'length',
  'tools forced',
  'tools auto',
  'tool results',
  'JSON schema',
  'images',
  'reasoning',
  'usage',
  'unknown model',
  'wrong key',
  'context exceeded',
  'engine down',
  'broken stream',
  'cancel',
] as const
const others = [
  'fill in the middle',
  'count tokens',
  'vectors',
  'transcription',
  'speech',
  'list and one',
  'ranking',
  'tokens',
] as const
export type Conversing = (typeof conversing)[number]
export type Feature = Conversing | (typeof others)[number]

export const meaning: { readonly [F in Feature]: string } = {
  'answer': 'The text and why it ended; the client’s instructions reach the engine as one system message.',
  'streaming': 'The same in pieces.',
  'length': 'An answer cut at the longest that was asked for says so.',
  'tools forced': 'A call that the request names is made, whole and streamed.',
  'tools auto': 'Two calls in one answer, whole and streamed.',
  'tool results': 'What the calls gave goes back, in order and to the right calls.',
  'JSON schema': 'The answer is JSON of a schema.',
  'images': 'A picture as a data URL reaches the engine.',
  'reasoning': 'Thought comes apart from the answer, whole and streamed.',
  'usage': 'Tokens in and out, whole and streamed.',
  'unknown model': 'The client’s own exception.',
  'wrong key': 'The client’s own exception.',
  'context exceeded': 'The client’s own exception, with both numbers.',
  'engine down': 'The client’s own exception.',
  'broken stream': 'An engine that fails in mid-stream is an exception, never half an answer.',
  'cancel': 'A client that leaves in mid-stream stops the engine.',
  'fill in the middle': '`suffix`.',
  'count tokens': '`/v1/messages/count_tokens`.',
  'vectors': 'Embeddings, packed in base64 where the client does that by itself, and the same as numbers.',
  'transcription': 'A file becomes text.',
  'speech': 'Text becomes sound.',
  'list and one': 'The models, and one of them.',
  'ranking': '`/v1/rerank`, best first.',
  'tokens': '`/v1/tokenize`.',
}

export type EngineName = EngineKind | 'embedded' | 'llama-server'
export type Engine = {
  name: EngineName
  kind: EngineKind | 'embedded'
  /** As refusals call it. */
  title: string
  /** The program itself; else its fake, held to recordings and the engine's own source. */
  real: boolean
}

export const engines: readonly Engine[] = [
  { name: 'vllm', kind: 'vllm', title: 'vLLM', real: false },
  { name: 'sglang', kind: 'sglang', title: 'SGLang', real: false },
  { name: 'tensorrt-llm', kind: 'tensorrt-llm', title: 'TensorRT-LLM', real: false },
  { name: 'triton', kind: 'triton', title: 'Triton', real: false },
  { name: 'tgi', kind: 'tgi', title: 'TGI', real: false },
  { name: 'llama-cpp', kind: 'llama-cpp', title: 'llama-server', real: false },
  { name: 'ollama', kind: 'ollama', title: 'Ollama', real: false },
  { name: 'openai', kind: 'openai', title: 'an OpenAI-compatible address', real: false },
  { name: 'embedded', kind: 'embedded', title: 'embedded engine', real: true },
  { name: 'llama-server', kind: 'llama-cpp', title: 'llama-server', real: true },
]

export type ClientName =
  | 'openai-node'
  | 'openai-python'
  | 'anthropic-sdk'
  | 'ai-sdk'
  | 'langchain-js'
  | 'langchain-python'
  | 'fetch'
export type Dialect =
  | 'chat completions'
  | 'responses'
  | 'messages'
  | 'completions'
  | 'embeddings'
  | 'audio'
  | 'models'
  | 'rerank'
  | 'tokenize'
export type Row = { client: ClientName; dialect: Dialect; features: readonly Feature[] }
/** A row's name: `openai-node › responses`. */
export type RowName = `${ClientName} › ${Dialect}`

export const clients: { readonly [C in ClientName]: string } = {
  'openai-node': '`openai` for Node',
  'openai-python': '`openai` for Python',
  'anthropic-sdk': '`@anthropic-ai/sdk`',
  'ai-sdk':
    '`ai` with `@ai-sdk/openai-compatible` (chat completions, embeddings), `@ai-sdk/openai` (responses), `@ai-sdk/anthropic` (messages)',
  'langchain-js': '`@langchain/openai`: `ChatOpenAI`, with `useResponsesApi` (responses), `OpenAIEmbeddings`',
  'langchain-python': '`langchain-openai`: `ChatOpenAI`, `OpenAIEmbeddings` with `check_embedding_ctx_length=False`',
  'fetch': 'plain HTTP',
}

export const rows = [
  { client: 'openai-node', dialect: 'chat completions', features: conversing },
  { client: 'openai-node', dialect: 'responses', features: conversing },
  { client: 'openai-python', dialect: 'chat completions', features: conversing },
  { client: 'openai-python', dialect: 'responses', features: conversing },
  { client: 'anthropic-sdk', dialect: 'messages', features: [...conversing, 'count tokens'] },
  { client: 'ai-sdk', dialect: 'chat completions', features: conversing },
  { client: 'ai-sdk', dialect: 'responses', features: conversing },
  { client: 'ai-sdk', dialect: 'messages', features: conversing },
  { client: 'langchain-js', dialect: 'chat completions', features: conversing },
  { client: 'langchain-js', dialect: 'responses', features: conversing },
  { client: 'langchain-python', dialect: 'chat completions', features: conversing },
  { client: 'openai-node', dialect: 'completions', features: ['answer', 'streaming', 'usage', 'fill in the middle'] },
  { client: 'openai-node', dialect: 'embeddings', features: ['vectors'] },
  { client: 'openai-python', dialect: 'embeddings', features: ['vectors'] },
  { client: 'ai-sdk', dialect: 'embeddings', features: ['vectors'] },
  { client: 'langchain-js', dialect: 'embeddings', features: ['vectors'] },
  { client: 'langchain-python', dialect: 'embeddings', features: ['vectors'] },
  { client: 'openai-node', dialect: 'audio', features: ['transcription', 'speech'] },
  { client: 'fetch', dialect: 'rerank', features: ['ranking'] },
  { client: 'fetch', dialect: 'tokenize', features: ['tokens'] },
  { client: 'openai-node', dialect: 'models', features: ['list and one'] },
  { client: 'openai-python', dialect: 'models', features: ['list and one'] },
  { client: 'anthropic-sdk', dialect: 'models', features: ['list and one'] },
] as const satisfies readonly Row[]

/** What works otherwise than one would think, and is checked to be so. */
export const limits = {
  'thought-in-text': 'The engine does not take thought out of the text: it comes there, between `<think>` tags.',
  'thought-untold': 'This client shows its caller no thought, or only summaries, which no engine writes.',
  'no-thought': 'The model of this run (2 million parameters) does not think.',
  'no-own-calls': 'The model of this run answers in words instead: it never learned to call tools by itself.',
  'no-tool-template':
    'The model of this run has a chat template without tools: the program then answers in words, forced or not.',
  'cut-unsaid': 'The engine cuts the front off a prompt that is too long and says nothing.',
  'passed-on': 'Passed on: only some releases of the engine have the route. Without it that is told, with 400.',
} as const
export type Limit = keyof typeof limits

export type Outcome =
  | { is: 'yes' }
  /** 400, naming the engine and what to do instead. */
  | { is: 'refused' }
  | { is: 'limited'; limit: Limit }
  /** A real program can't be made to do that here. */
  | { is: 'untried' }

const yes: Outcome = { is: 'yes' }
const refused: Outcome = { is: 'refused' }
const untried: Outcome = { is: 'untried' }
const limited = (limit: Limit): Outcome => ({ is: 'limited', limit })

/** What an engine does not do as all others do. */
const ofEngine: { readonly [E in EngineName]: { readonly [F in Feature]?: Outcome } } = {
  'vllm': {},
  'sglang': { speech: refused, transcription: limited('passed-on') },
  'tensorrt-llm': { ranking: refused, speech: refused, transcription: refused, vectors: limited('passed-on') },
  'triton': { ranking: refused, speech: refused, transcription: refused, reasoning: limited('thought-in-text') },
  'tgi': {
    ranking: refused,
    speech: refused,
    transcription: refused,
    vectors: refused,
    reasoning: limited('thought-in-text'),
  },
  'llama-cpp': { speech: refused, transcription: limited('passed-on') },
  'ollama': {
    'ranking': refused,
    'speech': refused,
    'transcription': refused,
    'tools forced': refused,
    'context exceeded': limited('cut-unsaid'),
  },
  'openai': { ranking: limited('passed-on') },
  'embedded': {
    'ranking': refused,
    'speech': refused,
    'transcription': refused,
    'images': refused,
    'fill in the middle': refused,
    'reasoning': limited('no-thought'),
    'tools auto': limited('no-own-calls'),
    'engine down': untried,
    'broken stream': untried,
  },
  'llama-server': {
    'ranking': refused,
    'speech': refused,
    'transcription': refused,
    'images': refused,
    'fill in the middle': refused,
    'reasoning': limited('no-thought'),
    'tools forced': limited('no-tool-template'),
    'tools auto': limited('no-own-calls'),
    'broken stream': untried,
  },
}

/** What a client does not show of what it was told. */
const ofClient: { readonly [R in RowName]?: { readonly [F in Feature]?: Limit } } = {
  'ai-sdk › responses': { reasoning: 'thought-untold' },
  'langchain-js › responses': { reasoning: 'thought-untold' },
  'langchain-python › chat completions': { reasoning: 'thought-untold' },
}

export const nameOf = ({ client, dialect }: Row): RowName => `${client} › ${dialect}`

export function outcomeOf(row: Row, feature: Feature, engine: EngineName): Outcome {
  const outcome = ofEngine[engine][feature] ?? yes
  const limit = ofClient[nameOf(row)]?.[feature]
  return outcome.is === 'yes' && limit !== undefined ? limited(limit) : outcome
}

/** What engines have got wrong, by the fake's name for it: clients must not notice. */
export const quirks = {
  'toolQuirk=no-index': 'Calls in a stream without their number.',
  'toolQuirk=no-id': 'Calls without an id.',
  'toolQuirk=same-index': 'Several calls with one number.',
  'toolQuirk=object-arguments': 'Arguments as an object instead of JSON text.',
  'toolQuirk=stop-finish': 'An answer with calls that ends with `stop`.',
  'toolQuirk=interleaved': 'The pieces of several calls in turns.',
  'crlf': 'Lines of events that end with CRLF.',
  'comments=2': 'SSE comments before every event.',
  'chunkBytes=1': 'A stream that comes byte by byte.',
  'oldReasoning': 'Thought under the field’s older name.',
  'noUsage': 'No usage, whatever is asked for: streams then tell an estimate.',
} as const
export type Quirk = keyof typeof quirks

/** One client for each dialect that conversations have. */
export const quirkRows: readonly RowName[] = [
  'openai-node › chat completions',
  'openai-node › responses',
  'anthropic-sdk › messages',
]
