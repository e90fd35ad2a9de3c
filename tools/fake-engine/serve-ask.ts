/** Answers one model request as the behaviour says, at its pace, and keeps the books whoever ends it. */
import type { ServerResponse } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import { decideAnswer } from './answer.ts'
import type { Answer } from './answer.ts'
import type { Behaviour } from './behaviour.ts'
import { renderChunk, renderClosing, renderUsageChunk, renderWhole } from './documents.ts'
import type { Telling } from './documents.ts'
import type { Dialect, Reply, Tally } from './dialects/index.ts'
import { renderInfillEnd, renderInfillPiece } from './dialects/index.ts'
import { openEventStream } from './event-stream.ts'
import type { EventStream } from './event-stream.ts'
import type { Places } from './places.ts'
import { reply } from './reply.ts'
import type { Ask } from './request.ts'
import { renderResult } from './results.ts'
import type { Ledger } from './state.ts'
import { toSteps, toTextSteps } from './steps.ts'
import type { Step } from './steps.ts'

export type Work = {
  ask: Ask
  behaviour: Behaviour
  dialect: Dialect
  res: ServerResponse
  ledger: Ledger
  places: Places
  id: string
  /** Part of the prompt that is in the cache. */
  cached: number
  /** The engine as a whole hangs now, whatever this request's behaviour. */
  isHung: () => boolean
  isLoading: () => boolean
}
type Running = Work & { signal: AbortSignal; hangUp: () => void; progress: Progress }
type Progress = { startedMs: number; firstMs: number | null; made: number; thought: number }

const whileLoadingMs = 20
const takeInMs = 250

/** Resolves when the request is over, also when the client left. Rejects only on a bug of this program. */
export async function serveAsk(work: Work): Promise<void> {
  const { res, ledger, places, behaviour } = work
  const gone = new AbortController()
  let phase: 'waiting' | 'running' = 'waiting'
  let hungUp = false
  ledger.add('waiting')
  const over = new Promise<void>(resolve => {
    res.once('close', () => {
      ledger.add(phase, -1)
      if (hungUp) ledger.add('cut')
      else if (res.writableFinished) ledger.add('finished')
      else {
        if (!res.headersSent) ledger.add('abortedBeforeFirstByte')
        ledger.add('aborted')
      }
      gone.abort()
      resolve()
    })
  })
  const hangUp = (): void => {
    hungUp = true
    res.destroy()
  }
  const { signal } = gone
  try {
    const leave = await places.take(behaviour.maxConcurrent, signal)
    try {
      ledger.add('waiting', -1)
      phase = 'running'
      ledger.add('running')
      const progress = { startedMs: performance.now(), firstMs: null, made: 0, thought: 0 }
      await answer({ ...work, signal, hangUp, progress })
      await over
    } finally {
      leave()
    }
  } catch (error) {
    if (!signal.aborted) throw error
  }
}

async function answer(running: Running): Promise<void> {
  const { ask, behaviour, dialect, res, ledger, signal, cached } = running
  // Nothing more happens until the client leaves.
  if (behaviour.hang) return
  while (running.isLoading()) await wait(whileLoadingMs, undefined, { signal })
  await pause(behaviour.firstMs, running)
  if (behaviour.status !== null) {
    const refusal = dialect.refuse(behaviour.status, `The fake engine was told to answer ${behaviour.status}.`)
    return send(running, refusal)
  }
  const limit = behaviour.contextLimit
  const tooLong =
    limit === null ? null : dialect.contextExceeded({ prompt: ask.words.length, output: ask.maxTokens, limit })
  if (tooLong !== null) return send(running, tooLong)
  if (behaviour.garbage) return sendGarbage(running)
  await takeIn(running)
  ledger.add('cachedTokens', cached)
  await (isGenerating(ask) ? generate(running) : sendResult(running))
  signal.throwIfAborted()
  if (res.writableEnded) ledger.reach('longestSequence', ask.words.length + running.progress.made)
}

/** In pieces of about `takeInMs`, as engines that chunk their prefill do. */
async function takeIn(running: Running): Promise<void> {
  const { ask, behaviour, ledger } = running
  const perStep = behaviour.perPromptTokenMs === 0 ? Infinity : Math.ceil(takeInMs / behaviour.perPromptTokenMs)
  for (let left = ask.words.length; left > 0;) {
    const tokens = Math.min(left, perStep)
    await pause(tokens * behaviour.perPromptTokenMs, running)
    ledger.add('promptTokens', tokens)
    left -= tokens
  }
}

/** Its answer is made of tokens, one after another. */
export const isGenerating = ({ route }: Ask): boolean =>
  route === 'chat' || route === 'completion' || route === 'infill'

async function generate(running: Running): Promise<void> {
  const { ask, behaviour, dialect, id } = running
  const said = decideAnswer(ask, behaviour)
  const calls = said.calls.map(({ name, pieces }, index) => ({
    id: dialect.voice.callId(id, index),
    name,
    arguments: pieces.join(''),
  }))
  const telling: Telling = {
    said,
    calls,
    ask,
    behaviour,
    voice: dialect.voice,
    head: { id: dialect.voice.requestId(ask.route, id), model: ask.model, created: Math.floor(Date.now() / 1000) },
    choices: dialect.voice.manyChoices ? ask.choices : 1,
    everyUsage: dialect.voice.continuousUsage && ask.continuousUsage && ask.includeUsage,
  }
  const steps = ask.route === 'chat' ? toSteps(said, calls, telling) : toTextSteps(said)
  await (ask.stream ? sendStream(running, telling, steps) : sendWhole(running, telling, steps))
}

async function sendWhole(running: Running, telling: Telling, steps: readonly Step[]): Promise<void> {
  const { ask, res } = running
  for (const step of steps) {
    for (let token = 0; token < step.tokens * telling.choices; token++) {
      if (running.progress.made > 0) await pause(running.behaviour.gapMs, running)
      if (await interrupted(running)) return
      account(running, 1, step.isThought)
    }
  }
  if ((await interrupted(running)) || res.destroyed) return
  const tally = conclude(running, telling.said)
  if (ask.route === 'infill') return sendBody(running, { status: 200, body: toInfillEnd(telling, tally, true) })
  sendBody(running, { status: 200, body: renderWhole(telling, told(running, tally)) })
}

async function sendStream(running: Running, telling: Telling, steps: readonly Step[]): Promise<void> {
  const { ask, behaviour, dialect, res, signal } = running
  const { voice } = dialect
  const events = openEventStream(res, { ...dialect.headers, ...dialect.streamHeaders }, { behaviour, signal })
  const choices = Array.from({ length: telling.choices }, (_, index) => index)
  const chunk = (index: number, step: Pick<Step, 'delta' | 'text' | 'tokens'>): object => {
    const tally = telling.everyUsage ? told(running, toTally(running)) : null
    return ask.route === 'infill'
      ? renderInfillPiece(step.text, running.progress.made, ask.words.length)
      : renderChunk(telling, { index, step, tally })
  }
  if (ask.route === 'chat' && voice.opening) {
    const opening = { delta: { ...voice.everyDelta, ...voice.opening }, text: '', tokens: 0 }
    for (const index of choices) await sendEvent(events, chunk(index, opening))
  }
  for (const step of steps) {
    for (const index of choices) {
      if (running.progress.made > 0) await pause(behaviour.gapMs, running)
      if (await interrupted(running, events)) return
      account(running, step.tokens, step.isThought)
      await sendEvent(events, chunk(index, step))
    }
  }
  if (await interrupted(running, events)) return
  const tally = told(running, conclude(running, telling.said))
  if (ask.route === 'infill') {
    await sendEvent(events, toInfillEnd(telling, toTally(running), false))
    return events.end()
  }
  for (const index of choices) await sendEvent(events, renderClosing(telling, { index, tally }))
  if (ask.includeUsage && tally && !(ask.route === 'completion' && voice.textUsageAlways))
    await sendEvent(events, renderUsageChunk(telling, tally))
  await events.send('[DONE]')
  events.end()
}

/** Carries out what the behaviour has planned for this point. True: the answer is over, or never will be. */
async function interrupted(running: Running, events?: EventStream): Promise<boolean> {
  const { behaviour, dialect, res, progress } = running
  const reached = (after: number | null): boolean => after !== null && progress.made >= after
  if (running.isHung() || reached(behaviour.stallAfter)) return true
  const { streamError } = dialect.voice
  if (reached(behaviour.cutAfter) || (events && streamError === null && reached(behaviour.errorMidStream))) {
    // What was written must leave first: destroying at once would also drop the tokens that the test wants to see.
    await flushed(res)
    running.hangUp()
    return true
  }
  if (reached(behaviour.errorMidStream)) {
    const failure = dialect.refuse(500, 'The fake engine was told to fail here.')
    if (!events || streamError === null) send(running, failure)
    else {
      await events.send(JSON.stringify(streamError(failure.body)))
      if (dialect.voice.doneAfterError) await events.send('[DONE]')
      events.end()
    }
    return true
  }
  return false
}

/** Embeddings, rankings and sound: made at once. */
function sendResult(running: Running): void {
  if (running.isHung()) return
  running.ledger.add('stopped')
  sendBody(running, renderResult(running))
}

function sendBody(running: Running, answered: Reply): void {
  const { res, behaviour, dialect } = running
  if (!behaviour.cutBody) return reply(res, dialect, answered)
  const content = Buffer.from(JSON.stringify(answered.body))
  res.writeHead(answered.status, {
    ...dialect.headers,
    'content-type': dialect.jsonType,
    'content-length': content.length,
  })
  res.write(content.subarray(0, content.length >> 1), () => running.hangUp())
}

const send = ({ res, dialect }: Running, answered: Reply): void => reply(res, dialect, answered)
const sendEvent = (events: EventStream, event: object): Promise<void> => events.send(JSON.stringify(event))

function sendGarbage({ res, ask }: Running): void {
  if (!ask.stream) {
    res.writeHead(200, { 'content-type': 'text/html' }).end('<html><body>It works!</body></html>')
    return
  }
  res
    .writeHead(200, { 'content-type': 'text/event-stream' })
    .end('\u0000\u0001 this is no event {"choices": [\n\ndata: {"choices": [\n\n')
}

function account({ ledger, progress }: Running, tokens: number, isThought: boolean): void {
  if (tokens === 0) return
  if (progress.firstMs === null) {
    progress.firstMs = performance.now()
    ledger.add('firstTokens')
    ledger.add('firstTokenMs', progress.firstMs - progress.startedMs)
  }
  progress.made += tokens
  ledger.add('generationTokens', tokens)
  if (!isThought) return
  progress.thought += tokens
  ledger.add('reasoningTokens', tokens)
}

/** The answer is made: into the books with it. */
function conclude(running: Running, said: Answer): Tally {
  const { ledger, progress } = running
  const tally = toTally(running)
  ledger.add(said.finish === 'length' ? 'cutByLength' : 'stopped')
  ledger.add('answerMs', performance.now() - progress.startedMs)
  ledger.add('generationMs', tally.generationMs)
  return tally
}

function toTally({ ask, progress, cached }: Running): Tally {
  const now = performance.now()
  const first = progress.firstMs ?? now
  return {
    prompt: ask.words.length,
    completion: progress.made,
    cached,
    reasoning: progress.thought,
    promptMs: atLeastAMicrosecond(first - progress.startedMs),
    generationMs: atLeastAMicrosecond(now - first),
  }
}

const told = ({ behaviour }: Running, tally: Tally): Tally | null => (behaviour.noUsage ? null : tally)
const atLeastAMicrosecond = (ms: number): number => Math.max(0.001, Math.round(ms * 1000) / 1000)

const toInfillEnd = ({ said, ask }: Telling, tally: Tally, isWhole: boolean) =>
  renderInfillEnd(isWhole ? said.pieces.join('') : '', tally, {
    model: ask.model,
    prompt: ask.lastPrompt,
    wasCut: said.finish === 'length',
  })

async function pause(ms: number, { behaviour, signal }: Running): Promise<void> {
  signal.throwIfAborted()
  if (ms > 0) await wait(ms * behaviour.slow, undefined, { signal })
}

/** Resolves when the kernel has taken everything written so far. */
function flushed(res: ServerResponse): Promise<void> {
  if (!res.headersSent) return Promise.resolve()
  return new Promise(resolve => res.write('', () => setImmediate(resolve)))
}
