/** Answers one model request as the behaviour says, at its pace, and keeps the books whoever ends it. */
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import {
  decideAnswer,
  renderClosing,
  renderEmbeddings,
  renderOpening,
  renderPiece,
  renderUsage,
  renderWhole,
  toUsage,
} from './answer.ts'
import type { Answer } from './answer.ts'
import type { Behaviour } from './behaviour.ts'
import { speak } from './dialect.ts'
import type { Reply } from './dialect.ts'
import type { Places } from './places.ts'
import type { Ask } from './request.ts'
import type { Ledger } from './state.ts'

export type Work = { ask: Ask; behaviour: Behaviour; res: ServerResponse; ledger: Ledger; places: Places; id: string }
type Running = Work & { signal: AbortSignal; hangUp: () => void }

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
      await answer({ ...work, signal, hangUp })
      await over
    } finally {
      leave()
    }
  } catch (error) {
    if (!signal.aborted) throw error
  }
}

export function reply(res: ServerResponse, { status, body }: Reply): void {
  const [type, content] =
    typeof body === 'string' ? ['text/plain; charset=utf-8', body] : ['application/json', JSON.stringify(body)]
  res.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(content) }).end(content)
}

async function answer(running: Running): Promise<void> {
  const { ask, behaviour, res, signal } = running
  const { refuse, contextExceeded } = speak(behaviour.dialect)
  // Nothing more happens until the client leaves.
  if (behaviour.hang) return
  await pause(behaviour.firstMs, running)
  if (behaviour.status !== null)
    return reply(res, refuse(behaviour.status, `The fake engine was told to answer ${behaviour.status}.`))
  if (behaviour.contextLimit !== null && ask.promptTokens > behaviour.contextLimit) {
    return reply(res, contextExceeded(ask.promptTokens, behaviour.contextLimit))
  }
  if (behaviour.garbage) return sendGarbage(running)
  running.ledger.add('promptTokens', ask.promptTokens)
  if (ask.route === 'embedding') {
    return sendBody(running, renderEmbeddings(ask.model, ask, behaviour.noUsage))
  }
  const said = decideAnswer(ask, behaviour)
  await (ask.stream ? sendStream(running, said) : sendWhole(running, said))
  signal.throwIfAborted()
}

async function sendWhole(running: Running, said: Answer): Promise<void> {
  const { ask, behaviour, res, ledger } = running
  for (const index of said.pieces.keys()) {
    if (await interrupted(running, index)) return
    if (index > 0) await pause(behaviour.gapMs, running)
    ledger.add('generationTokens')
  }
  if (await interrupted(running, said.pieces.length)) return
  if (res.destroyed) return
  const usage = behaviour.noUsage ? null : toUsage(ask.promptTokens, said.pieces.length)
  sendBody(running, renderWhole(toHead(running), ask, { ...said, usage }))
}

async function sendStream(running: Running, said: Answer): Promise<void> {
  const { ask, behaviour, res, ledger } = running
  const head = toHead(running)
  res.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' })
  res.flushHeaders()
  const opening = renderOpening(head, ask, said)
  if (opening) await sendEvent(running, opening)
  for (const [index, piece] of said.pieces.entries()) {
    if (await interrupted(running, index)) return
    if (index > 0) await pause(behaviour.gapMs, running)
    await sendEvent(running, renderPiece(head, ask, { piece, tool: said.tool }))
    ledger.add('generationTokens')
  }
  if (await interrupted(running, said.pieces.length)) return
  await sendEvent(running, renderClosing(head, ask, said.finish))
  if (ask.includeUsage && !behaviour.noUsage) {
    await sendEvent(running, renderUsage(head, ask, toUsage(ask.promptTokens, said.pieces.length)))
  }
  res.end('data: [DONE]\n\n')
}

/** Carries out what the behaviour has planned for this point. True: the answer is over, or never will be. */
async function interrupted(running: Running, sentTokens: number): Promise<boolean> {
  const { ask, behaviour, res } = running
  if (behaviour.stallAfter === sentTokens) return true
  if (behaviour.cutAfter === sentTokens) {
    // What was written must leave first: destroying at once would also drop the tokens that the test wants to see.
    await flushed(res)
    running.hangUp()
    return true
  }
  if (behaviour.errorMidStream === sentTokens) {
    const failure = speak(behaviour.dialect).refuse(500, 'The fake engine was told to fail here.')
    if (!ask.stream) reply(res, failure)
    else res.end(`data: ${JSON.stringify(failure.body)}\n\ndata: [DONE]\n\n`)
    return true
  }
  return false
}

function sendBody(running: Running, body: unknown): void {
  const { res, behaviour } = running
  if (!behaviour.cutBody) return reply(res, { status: 200, body })
  const content = Buffer.from(JSON.stringify(body))
  res.writeHead(200, { 'content-type': 'application/json', 'content-length': content.length })
  res.write(content.subarray(0, content.length >> 1), () => running.hangUp())
}

function sendGarbage({ res, ask }: Running): void {
  if (!ask.stream) {
    res.writeHead(200, { 'content-type': 'text/html' }).end('<html><body>It works!</body></html>')
    return
  }
  res
    .writeHead(200, { 'content-type': 'text/event-stream' })
    .end('\u0000\u0001 this is no event {"choices": [\n\ndata: {"choices": [\n\n')
}

async function sendEvent({ res, signal }: Running, event: unknown): Promise<void> {
  signal.throwIfAborted()
  if (!res.write(`data: ${JSON.stringify(event)}\n\n`)) await once(res, 'drain', { signal })
}

async function pause(ms: number, { behaviour, signal }: Running): Promise<void> {
  signal.throwIfAborted()
  if (ms > 0) await wait(ms * behaviour.slow, undefined, { signal })
}

/** Resolves when the kernel has taken everything written so far. */
function flushed(res: ServerResponse): Promise<void> {
  if (!res.headersSent) return Promise.resolve()
  return new Promise(resolve => res.write('', () => setImmediate(resolve)))
}

function toHead({ id, ask }: Running) {
  return {
    id: ask.route === 'chat' ? `chatcmpl-${id}` : `cmpl-${id}`,
    model: ask.model,
    created: Math.floor(Date.now() / 1000),
  }
}
