/** The spec's `prompts`, `versions` and `models` sections. */
import { z } from 'zod'
import { count, flag, handedOn, limits, model, name, port, positive, secret, text, web } from './fields.ts'
import { duration, share, timeout } from './measures.ts'

const promptIdPattern = /^p(0|[1-9]\d*)$/

const prompt = z.strictObject({
  // Spaces at the ends are the author's business; an empty prompt is p0.
  text: text('The prompt itself.').optional(),
  file: text('A file with the prompt, relative to the spec. Line breaks at its end do not count.').optional(),
  mode: z
    .enum(['prepend', 'default', 'replace'])
    .default('prepend')
    .describe(
      '`prepend`: the prompt, a blank line, the client’s. `default`: only when the client sent none. `replace`: instead of the client’s.',
    ),
})

export const prompts = z.record(
  z.string().regex(promptIdPattern, "expected a prompt id: 'p' and a number without leading zeros, such as p42"),
  prompt,
)

const engineKinds = [
  'vllm',
  'llama-cpp',
  'ollama',
  'sglang',
  'tensorrt-llm',
  'triton',
  'tgi',
  'openai',
  'embedded',
] as const

const engine = z.strictObject({
  kind: z
    .enum(engineKinds)
    .describe(
      'The program that runs the weights. `openai`: any other OpenAI-compatible address. `embedded`: llama.cpp inside Holdfast.',
    ),
  version: text('The engine’s own version.').optional(),
  servedName: text('What the engine calls the model; left out: the public model name.').optional(),
  task: z
    .enum(['chat', 'embed', 'rerank', 'transcribe', 'speak'])
    .default('chat')
    .describe('What it is for: conversations and completions, embeddings, ranking, speech to text, or text to speech.'),
  flags: handedOn(
    'The engine’s own flags. `embedded` knows `context-size`, `sequences` and `threads`; for engines that run elsewhere they only tell versions apart.',
  ).default({}),
})

const replica = z.strictObject({
  id: name('Unique in the whole spec.'),
  host: name('The host it is on: Holdfast starts it there or, with `url`, knows what it costs.').optional(),
  gpus: z.array(name('A GPU of that host.')).optional().describe('The GPUs it may use.'),
  port: port('The port it listens on there.').optional(),
  runtime: z.enum(['systemd', 'compose', 'process', 'kubernetes']).optional().describe('What keeps it running.'),
  idle: duration('Stopped after this long without a request, and started again on demand.').optional(),
  url: web('The address of an engine that somebody runs already, with its path (`/v1`). Instead of port.').optional(),
  metrics: web('Where its metrics are, when not at its own address: Triton has them on another port.').optional(),
  apiKey: secret('What that engine wants as a key.').optional(),
  backup: flag('Used only when no other replica can answer.').default(false),
  weight: positive('Its share of requests in relation to the other replicas’.').default(1),
})

export const version = z.strictObject({
  name: z.string('expected text').max(200, 'must be at most 200 characters').meta({
    title: 'version name',
    description: '`<channel>-v<version>-<base>-<quantisation>-p<id>`. Never means anything else once it was used.',
  }),
  description: text('For people.').optional(),
  tags: z.array(text('A word.')).default([]).describe('For people.'),
  artifact: z
    .strictObject({
      from: z.string('expected text').meta({
        title: 'artifact',
        description:
          '`hf:<repository>@<commit>[:<file>]`, `file:<path>[@sha256:<hex>]` or `builtin:smoke`. A commit, never a branch.',
      }),
      registry: name('The registry it is kept in.').optional(),
    })
    .describe('The weights. May be left out when somebody else runs the engine.')
    .optional(),
  engine: engine.describe('What runs the weights.'),
  chatTemplate: text('`artifact`: the one that comes with the weights; else a file.').default('artifact'),
  sampling: handedOn(
    'Defaults for what a client leaves out (`temperature` …), as the engine’s API names them.',
  ).default({}),
  replicas: z.array(replica).prefault([]).describe('The engines that serve this version.'),
})

export const publicModel = z.strictObject({
  name: model('What clients send as `model`.'),
  live: z
    .string('expected the name of a version')
    .meta({ title: 'version name', description: 'The version that answers.' }),
  release: name('The policy (in `releases`) by which another version replaces the live one.').optional(),
  fallbacks: z
    .array(model('A model.'))
    .default([])
    .describe(
      'Models that answer, in this order, when no replica of this one can. Only those that the caller may use.',
    ),
  contextFallbacks: z
    .array(model('A model.'))
    .default([])
    .describe('Models that answer, in this order, what is too long for this one.'),
  limits: limits('Bounds for everybody together who uses this model.').optional(),
  quality: z
    .strictObject({
      judge: model('The model that gives marks from 1 to 10.'),
      share: share('Part of the answers that it is shown.').prefault('1%'),
      perHour: count('Answers that it marks in an hour, at most; the others are dropped.').default(60),
      allowExternal: flag(
        'Whether the judge may be outside of our own hosts: questions and answers are sent there.',
      ).default(false),
    })
    .describe('Marks for a sample of the answers that clients get. No text is kept.')
    .optional(),
  routing: z
    .enum(['least-loaded', 'round-robin', 'sticky', 'prefix-affinity'])
    .default('least-loaded')
    .describe('How a replica is chosen.'),
  queue: z
    .strictObject({
      waiting: z
        .int()
        .min(0)
        .meta({ title: 'count', description: 'Requests that may wait for a replica.' })
        .default(200),
      deadline: timeout('How long one may wait.').prefault('30s'),
    })
    .prefault({})
    .describe('What happens while no replica is free.'),
})
