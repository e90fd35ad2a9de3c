/**
 * Claude Code, Codex CLI, OpenWebUI, Continue and Cline, as they really ask: what each program sent was recorded, and is
 * sent again, in its order, with the ids that it gets now; every answer is read as strictly as its client reads.
 *
 * How `sequences/recorded/*.json` was made, each time in a network namespace with nothing but loopback, telemetry and
 * updates off, HOME an empty folder: `holdfast up` with the spec below, whose engine is tools/fake-engine; the settings that
 * `holdfast connect <program>` prints, with `--url` of a proxy that writes down every request and answer; then the commands
 * that each sequence names.
 * - Claude Code 2.1.197: npm `@anthropic-ai/claude-code`; `claude -p`, and at a terminal through a pty.
 * - Codex CLI 0.169.0: npm `@openai/codex`; `codex exec --skip-git-repo-check`.
 * - OpenWebUI 0.12.4: PyPI `open-webui` with the packages of its requirements-slim.txt, USE_SLIM_DOCKER=true and
 *   WEBUI_AUTH=False, speech and dictation by the same address; its own API called as its page does.
 * - Continue: npm `@continuedev/cli` 1.5.47, `cn -p`; for what only its editor does, npm `@continuedev/openai-adapters`
 *   1.37.0, which is the part of it that speaks HTTP.
 * - Cline 3.0.65: npm `cline`; `cline auth -p openai -k <key> -m coder -b <url>/v1`, then `cline -P openai --json`.
 *
 * What these programs say to a model is theirs: every text but our own prompts is only a mark of its length and lines
 * (sequences/recording.ts). Names, roles, types, shapes of schemas and headers are as they were sent.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startFakeEngine, type FakeEngine } from '../../tools/fake-engine/index.ts'
import { startService, type Service } from '../support/service.ts'
import { until } from '../support/settled.ts'
import { fieldsOf, type Heard } from './sequences/hear.ts'
import { play } from './sequences/player.ts'
import { fill, programs, readRecording, type Program, type Sequence, type Step } from './sequences/recording.ts'

const recordings = Object.fromEntries(programs.map(program => [program, readRecording(program)]))

/** How each program finds out that a request was too long, so that it makes the conversation shorter. */
const knowsItIsTooLong: Record<Program, (error: NonNullable<Heard['error']>) => boolean> = {
  'claude-code': ({ message }) => message.toLowerCase().includes('prompt is too long'),
  'codex': ({ code }) => code === 'context_length_exceeded',
  'openwebui': ({ code }) => code === 'context_length_exceeded',
  'continue': ({ message }) => /maximum context length is \d+ tokens/.test(message),
  'cline': ({ message }) => /maximum context length is \d+ tokens/.test(message),
}

let fake: FakeEngine
let service: Service
let key: string

beforeAll(async () => {
  fake = await startFakeEngine({ name: 'smoke', dialect: 'vllm' })
  const by = (id: string): string =>
    `engine: { kind: vllm, servedName: smoke }, replicas: [{ id: ${id}, url: "${fake.url}/v1" }]`
  service = await startService({
    spec: `apiVersion: holdfast/v1
name: sequences
versions:
  - { name: dev-v1.0-qwen2-5-coder-7b-awq-p0, ${by('one')} }
  - { name: dev-v1.0-embed-fp16-p0, ${by('two')} }
  - { name: dev-v1.0-smoke-2m-q8-0-p0, artifact: { from: 'builtin:smoke' }, engine: { kind: embedded }, replicas: [{ id: small }] }
models:
  - { name: coder, live: dev-v1.0-qwen2-5-coder-7b-awq-p0 }
  - { name: embed, live: dev-v1.0-embed-fp16-p0 }
  - { name: small, live: dev-v1.0-smoke-2m-q8-0-p0 }
`,
  })
  key = await makeKey('--alias', 'sequences')
})
afterAll(async () => {
  await service?.stop()
  await fake?.close()
})

describe.each(programs)('%s', program => {
  const { sequences } = recordingOf(program)

  test.each(sequences.map(sequence => [sequence.name, sequence] as const))('%s', async (_, sequence) => {
    fake.reset()
    let left = 0
    const heard = await play(sequence, recordingOf(program), {
      url: service.url,
      key,
      async onLeave() {
        left++
        // Far from its last token: only a cancel ends it now.
        await fake.until(({ running, aborted }) => running === 0 && aborted === left)
      },
    })
    for (const [i, step] of sequence.steps.entries()) checkStep(program, step, heard[i]!)
    checkCalls(program, sequence, heard)
    for (const { path, body } of fake.state().lastRequests) if (path === '/v1/chat/completions') checkAsked(body)
    expect(fake.state()).toMatchObject({ aborted: left, running: 0 })
    if (heard.some(({ error }) => isLoss(error))) await untilServed()
  })
})

describe('on an engine of 512 tokens that really thinks', () => {
  const models = { coder: 'small', embed: 'small' }
  const small = (program: Program, name: string): Promise<Heard[]> =>
    play(sequenceOf(program, name), recordingOf(program), { url: service.url, key, models })

  test('Claude Code gets its answer, whole, with what it cost', async () => {
    const [, answer] = await small('claude-code', 'asks without tools, with a short instruction')
    expect(answer).toMatchObject({ status: 200, finish: expect.stringMatching(/end_turn|max_tokens/) as string })
    expect(answer!.text).not.toBe('')
    expect(answer!.usage!.input + answer!.usage!.output).toBeLessThanOrEqual(512)
    expect(answer!.usage!.output).toBeGreaterThan(0)
  })

  test('Claude Code counts tokens of texts and of tools', async () => {
    const counted = (await small('claude-code', 'counts tokens')).slice(1)
    const counts = counted.map(({ body }) => Number(fieldsOf(body)['input_tokens']))
    expect(counts.every(count => Number.isInteger(count) && count > 0)).toBe(true)
    // What holds tools of a hundred lines is not as short as a word.
    expect(Math.max(...counts)).toBeGreaterThan(2000)
  })

  test('Claude Code, Codex and Cline are told, each in words it knows, that they asked too much', async () => {
    for (const program of ['claude-code', 'codex', 'cline'] as const) {
      const heard = (await small(program, 'asks, and is answered')).at(-1)!
      expect(heard).toMatchObject({ status: 400, error: { code: 'context_length_exceeded' } })
      expect(knowsItIsTooLong[program](heard.error!)).toBe(true)
    }
  })

  test('OpenWebUI and Continue get vectors, as lists of numbers and packed', async () => {
    const documents = sequenceOf('openwebui', 'documents: vectors and ranking')
    const editor = sequenceOf(
      'continue',
      'the editor: models, completion of code by prompt and by suffix, vectors, ranking',
    )
    for (const [program, { name, command, steps }] of [
      ['openwebui', documents],
      ['continue', editor],
    ] as const) {
      const asks = steps.filter(({ path }) => path === '/v1/embeddings')
      expect(asks.length).toBeGreaterThan(0)
      const heard = await play({ name, command, steps: asks }, recordingOf(program), { url: service.url, key, models })
      for (const [i, { body }] of heard.entries()) checkVectors(asks[i]!, body, 192)
    }
  })
})

describe('OpenWebUI, a key for each team', () => {
  /** What its page shows: the request it makes at each load. */
  const [models] = sequenceOf('openwebui', 'the reader presses Stop').steps
  async function shown(teamKey: string): Promise<string[]> {
    const sequence = { name: 'load', command: '', steps: [models!] }
    const [heard] = await play(sequence, recordingOf('openwebui'), { url: service.url, key: teamKey })
    expect(heard).toMatchObject({ status: 200 })
    return heard!.models
  }
  const keys: Record<string, string> = {}
  const team = async (...words: string[]): Promise<void> => {
    expect(await service.cli('team', ...words)).toMatchObject({ exitCode: 0 })
  }

  beforeAll(async () => {
    for (const [name, may] of [
      ['red', 'coder'],
      ['blue', 'small'],
    ] as const) {
      await team('create', name, '--models', may)
      keys[name] = await makeKey('--alias', `openwebui-${name}`, '--team', name)
    }
  })

  test('SERVE-5 a model that a team is given is there at its next load, not at another team’s, and goes when it is taken away', async () => {
    const { red = '', blue = '' } = keys
    expect([await shown(red), await shown(blue)]).toEqual([['coder'], ['small']])
    await team('update', 'red', '--models', 'coder,embed')
    expect([await shown(red), await shown(blue)]).toEqual([['coder', 'embed'], ['small']])
    await team('update', 'red', '--models', 'embed')
    expect([await shown(red), await shown(blue)]).toEqual([['embed'], ['small']])
    await team('update', 'red', '--models', 'coder,embed')
  })

  test('a chat with a model of another team is refused, in words that its page shows', async () => {
    const [, chat] = sequenceOf('openwebui', 'two chats as its page makes them').steps
    const asked = { name: 'chat', command: '', steps: [chat!] }
    const [heard] = await play(asked, recordingOf('openwebui'), { url: service.url, key: keys['blue'] ?? '' })
    expect(heard).toMatchObject({ status: 403, error: { code: 'model_not_permitted', param: 'model' } })
    expect(heard!.error!.message).toContain('coder')
  })

  test('its page loads while no engine says a word', async () => {
    fake.reset()
    fake.behave({ hang: true, hangHealth: true })
    expect(await shown(keys['red'] ?? '')).toEqual(['coder', 'embed'])
    await fake.die()
    expect(await shown(keys['red'] ?? '')).toEqual(['coder', 'embed'])
    expect(fake.state().lastRequests).toEqual([])
  })
})

function recordingOf(program: Program) {
  const recording = recordings[program]
  if (recording === undefined) throw new Error(`no recording of ${program}`)
  return recording
}

/** By its name, or how that begins. */
function sequenceOf(program: Program, name: string): Sequence {
  const found = recordingOf(program).sequences.find(sequence => sequence.name.startsWith(name))
  if (found === undefined) throw new Error(`no sequence of ${program} is named ${name}`)
  return found
}

function checkStep(program: Program, step: Step, heard: Heard): void {
  const where = `${step.method} ${step.path}`
  // How soon it asks again decides whether the engine is asked again: both tell it to try once more.
  if (isLoss(step.error ?? null) && isLoss(heard.error)) {
    expect([200, 502, 503], where).toContain(heard.status)
    return
  }
  expect(heard.status, where).toBe(step.status)
  expect(heard.events, where).toEqual(step.events)
  if (step.error !== undefined) {
    expect(heard.error, where).toMatchObject(step.error)
    if (step.error.code === 'context_length_exceeded') expect(knowsItIsTooLong[program](heard.error!)).toBe(true)
    return
  }
  expect(heard.error, where).toBeNull()
  if (step.leaves !== true && step.method !== 'HEAD') checkRead(step, heard)
}

/** What the program reads of an answer that is no error. */
function checkRead(step: Step, heard: Heard): void {
  const asked = step.body === undefined ? {} : fieldsOf(step.body)
  const route = step.path.replace(/\?.*$/, '').replace('/v1/', '')
  switch (route) {
    case 'models':
      return expect(heard.models).toEqual(expect.arrayContaining(['coder', 'embed']))
    case 'messages':
    case 'responses':
    case 'chat/completions':
    case 'completions': {
      expect(heard.id).not.toBe('')
      expect(heard.finish).not.toBe('')
      expect(heard.text !== '' || heard.calls.length > 0).toBe(true)
      const hasUsage = asked['stream'] !== true || asked['stream_options'] !== undefined || /^[mr]/.test(route)
      if (hasUsage) expect(heard.usage!.output).toBeGreaterThan(0)
      return
    }
    case 'messages/count_tokens':
      return expect(heard.body).toEqual({ input_tokens: expect.any(Number) as number })
    case 'embeddings':
      return checkVectors(step, heard.body, 8)
    case 'rerank': {
      const documents = asked['documents'] as unknown[]
      const results = fieldsOf(heard.body)['results'] as { index: number; relevance_score: number }[]
      expect(results.map(({ index }) => index).toSorted()).toEqual(documents.map((_, i) => i))
      // «two» stands in «two three» alone.
      expect(results.toSorted((a, b) => b.relevance_score - a.relevance_score)[0]?.index).toBe(1)
      return
    }
    case 'audio/transcriptions':
      return expect(heard.body).toMatchObject({ text: expect.stringContaining('word0') as string })
    case 'audio/speech':
      return expect(String(heard.body).startsWith('RIFF')).toBe(true)
    default:
      throw new Error(`nobody reads what ${route} answers`)
  }
}

function checkVectors(step: Step, body: unknown, length: number): void {
  const { input, encoding_format: format } = fieldsOf(step.body)
  const vectors = fieldsOf(body)['data'] as { index: number; embedding: number[] | string }[]
  expect(vectors.map(({ index }) => index)).toEqual((input as unknown[]).map((_, i) => i))
  for (const { embedding } of vectors) {
    if (format === 'base64') expect(Buffer.from(String(embedding), 'base64')).toHaveLength(length * 4)
    else expect(embedding).toHaveLength(length)
  }
}

/** Every call is of a tool that was offered, as the program tells tools apart, and no two of a sequence share an id. */
function checkCalls(program: Program, { steps }: Sequence, heard: readonly Heard[]): void {
  const scope = { key, models: {}, pieces: recordingOf(program).pieces, heard }
  const ids = heard.flatMap(({ calls }) => calls.map(({ id }) => id))
  expect(new Set(ids).size).toBe(ids.length)
  for (const [i, { calls, items }] of heard.entries()) {
    if (calls.length === 0) continue
    const offered = toolsOf(fieldsOf(fill(steps[i]?.body, scope)))
    const spaces = items.flatMap(({ type, namespace }) => (type === 'function_call' ? [namespace] : []))
    for (const [at, { name, input }] of calls.entries()) {
      expect(offered).toContain([spaces[at], name].filter(word => word !== undefined).join('/'))
      expect(input).toEqual(expect.any(Object))
    }
  }
}

/** `namespace/name` of Codex's tools that stand in one. */
function toolsOf(body: Record<string, unknown>): string[] {
  type Tool = { type?: string; name?: string; function?: { name: string }; tools?: Tool[] }
  // What the programs sent, as it was recorded.
  return (body['tools'] as Tool[]).flatMap(({ name = '', function: inner, tools = [] }) =>
    tools.length > 0 ? tools.map(tool => `${name}/${tool.name ?? ''}`) : [inner?.name ?? name],
  )
}

/** What the engine got: each result names a call that stands before it, and only the first message is the system's. */
function checkAsked(body: unknown): void {
  const messages = fieldsOf(body)['messages'] as {
    role: string
    tool_calls?: { id: string }[]
    tool_call_id?: string
  }[]
  const called = new Set<string>()
  for (const [i, message] of messages.entries()) {
    if (i > 0) expect(message.role).not.toBe('system')
    for (const { id } of message.tool_calls ?? []) called.add(id)
    if (message.role === 'tool') expect(called).toContain(message.tool_call_id)
  }
  expect(JSON.stringify(messages)).not.toContain('{{')
}

const isLoss = (error: { code: string } | null): boolean =>
  error?.code === 'engine_lost' || error?.code === 'no_replica'

/** An engine that was lost is left alone for a while. */
const untilServed = (): Promise<void> =>
  until('the engine is asked again', async () => {
    const answer = await fetch(`${service.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'authorization': `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'coder', messages: [{ role: 'user', content: 'Say hello.' }] }),
    })
    await answer.arrayBuffer()
    return answer.ok
  })

async function makeKey(...words: string[]): Promise<string> {
  const { stdout, stderr } = await service.cli('key', 'create', ...words, '--json')
  const { key: made } = fieldsOf(JSON.parse(stdout === '' ? stderr : stdout))
  if (typeof made !== 'string') throw new Error(stdout + stderr)
  return made
}
