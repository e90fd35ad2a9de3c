/** Every call that may change something leaves one act, refused ones too: recorded before its answer goes out. */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Principal } from '../../domain/access/index.ts'
import { FaultError, toHttp } from '../../domain/fault.ts'
import type { Identify } from '../../services/access/index.ts'
import type { Acts, NewAct, Note, Notes } from '../../services/audit/index.ts'
import { originOf } from './origin.ts'

/** A call under way that will leave an act. */
type Call = { caller: Principal | null; notes: Note[]; recorded: boolean }

const reading = new Set(['GET', 'HEAD', 'OPTIONS'])
/** Gateways and agents speak here, not people; but whether a gateway may join is an act. */
const ofTheLink = /^\/link\/(?!v1\/join$)/
const whyChars = 400

/** What services note goes to the act of the call they serve. */
export function openNotes(): Notes & { during<T>(call: { notes: Note[] }, run: () => T): T } {
  const current = new AsyncLocalStorage<{ notes: Note[] }>()
  return {
    note: note => void current.getStore()?.notes.push(note),
    during: (call, run) => current.run(call, run),
  }
}

/** Before any route is registered: hooks hold for what comes after them. */
export function recordActs(
  app: FastifyInstance,
  { acts, identify, notes }: { acts: Acts; identify: Identify; notes: ReturnType<typeof openNotes> },
): void {
  const calls = new WeakMap<FastifyRequest, Call>()

  app.addHook('onRequest', async request => {
    if (reading.has(request.method) || ofTheLink.test(request.url) || request.is404) return
    calls.set(request, { caller: await callerOf(request), notes: [], recorded: false })
    if (!acts.writable) throw new FaultError({ kind: 'journal-full' })
  })

  // Reading the body leaves the context that earlier hooks ran in, so it is entered just before the handler.
  app.addHook('preHandler', (request, _, done) => {
    const call = calls.get(request)
    if (call === undefined) done()
    else notes.during(call, done)
  })

  app.addHook('onSend', async (request, reply, payload) => {
    const call = calls.get(request)
    if (call === undefined || call.recorded) return payload
    call.recorded = true
    try {
      await acts.record(toAct(request, { reply, call, payload }))
      return payload
    } catch {
      // Whoever asked must not believe that it is done and on the record.
      const { status, body } = toHttp({ kind: 'journal-full' })
      const text = JSON.stringify(body)
      reply
        .code(status)
        .header('content-type', 'application/json; charset=utf-8')
        .header('content-length', Buffer.byteLength(text))
      return text
    }
  })

  /** The routes ask again and refuse; here it is only who it was. */
  async function callerOf(request: FastifyRequest): Promise<Principal | null> {
    try {
      return await identify(request.headers.authorization)
    } catch (error) {
      if (error instanceof FaultError) return null
      throw error
    }
  }
}

function toAct(
  request: FastifyRequest,
  { reply, call, payload }: { reply: FastifyReply; call: Call; payload: unknown },
): NewAct {
  const { caller } = call
  const what = nameAct(request.method, request.routeOptions.url ?? request.url)
  const { statusCode: status } = reply
  return {
    who: caller === null || caller.kind === 'admin' ? (caller?.kind ?? null) : caller.id,
    alias: caller === null || caller.kind === 'admin' ? null : caller.alias,
    from: originOf(request),
    what,
    ...(what === 'gateway.join' ? { target: idOf(payload), detail: null } : aboutWhat(what, { request, call })),
    decision: decisionOf(status),
    why: status < 400 ? null : whyOf(payload),
  }
}

function decisionOf(status: number): NewAct['decision'] {
  if (status < 400) return 'done'
  return status < 500 ? 'refused' : 'failed'
}

/** What was committed, else what of the right kind was looked at, else what the path names. */
function aboutWhat(
  what: string,
  { request, call }: { request: FastifyRequest; call: Call },
): Pick<NewAct, 'target' | 'detail'> {
  const [noun] = what.split('.')
  const committed = call.notes.filter(note => note.detail !== undefined)
  const [first] = committed
  if (first === undefined) {
    const looked = call.notes.find(note => note.noun === noun)
    return { target: looked?.target ?? pathTarget(request), detail: null }
  }
  if (committed.length === 1) return { target: first.target, detail: first.detail ?? null }
  return { target: first.target, detail: { targets: committed.map(note => note.target) } }
}

/** A secret sent where a name belongs must not be kept, so only what has the form of one of our names is. */
const ownName = /^(?:key_[0-9A-Za-z]{16}|[a-z][a-z0-9]*(?:-[a-z0-9]{1,12}){0,3})$/

function pathTarget({ params }: FastifyRequest): string | null {
  const named: unknown = Object.values(params ?? {})[0]
  return typeof named === 'string' && named.length <= 40 && !named.startsWith('sk-') && ownName.test(named)
    ? named
    : null
}

/** A gateway gets its name by joining. */
function idOf(payload: unknown): string | null {
  const answer: unknown = typeof payload === 'string' ? JSON.parse(payload) : null
  return typeof answer === 'object' && answer !== null && 'id' in answer && typeof answer.id === 'string'
    ? answer.id
    : null
}

/** The error's code and words, which hold no secrets. */
function whyOf(payload: unknown): string | null {
  try {
    // The one error handler makes these bodies.
    const { error } = JSON.parse(String(payload)) as { error: { code: string; message: string } }
    // What is not there may be a secret that was sent where a name belongs.
    const said = error.code === 'not_found' ? error.message.replaceAll(/'.*'/gs, "'…'") : error.message
    return `${error.code}: ${said}`.slice(0, whyChars)
  } catch {
    return null
  }
}

const verbs: Readonly<Record<string, string>> = {
  POST: 'create',
  PUT: 'update',
  PATCH: 'update',
  DELETE: 'remove',
  generate: 'create',
  new: 'create',
  delete: 'remove',
  regenerate: 'rotate',
  erasures: 'erase',
  tokens: 'invite',
}

/**
 * `POST /api/v1/keys/:id/block` and `POST /key/block` are both `key.block`. Keys are not removed but revoked.
 * New routes get a name by the same rule.
 */
export function nameAct(method: string, pattern: string): string {
  const parts = pattern
    .replace(/^\/link\/v1\//, '/gateways/')
    .replace(/^\/(?:api\/)?v\d+\//, '/')
    .replace(/^\/apply$/, '/spec/apply')
    .split('/')
    .filter(part => part !== '' && !part.startsWith(':') && part !== '*')
  const [plural = 'service', ...more] = parts
  const noun = plural.endsWith('s') && plural !== 'access' ? plural.slice(0, -1) : plural
  const last = more.at(-1)
  const verb = last === undefined ? (verbs[method] ?? method.toLowerCase()) : (verbs[last] ?? last)
  return noun === 'key' && verb === 'remove' ? 'key.revoke' : `${noun}.${verb}`
}
