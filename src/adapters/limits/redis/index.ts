/** Redis and Valkey as the counts that gateways share. One connection; every command is the one script. */
import { createHash, randomUUID } from 'node:crypto'
import { createClient } from '@redis/client'
import type { Answer, Call, Reply, Word } from '../../../domain/limits/index.ts'
import type { SharedCounts } from '../../../services/limits/index.ts'
import { explain, parseRedisAddress } from './address.ts'
import { answerLength, script, status } from './script.ts'

/** Longer, and it is as good as gone. */
const answerWithin = 100
/** Names, TLS and passwords take their time; nobody waits for it. */
const reachWithin = 1_000

// In a cluster, keys with the same braces are in the same place.
const keyPrefix = '{holdfast:limits}'
const digest = createHash('sha1').update(script).digest('hex')

type Client = ReturnType<typeof toClient>
/** Redis' clock, as of a moment of ours. */
type Clock = { theirs: number; ours: number }

/** Throws when the address is none. Connects in `reach`. */
export function openRedisCounts(address: string): SharedCounts {
  const redis = parseRedisAddress(address)
  const gateway = randomUUID()
  let client: Client | null = null
  let clock: Clock = { theirs: 0, ours: 0 }

  return {
    async reach() {
      drop()
      const fresh = toClient(redis.url)
      client = fresh
      try {
        await within(reachWithin, fresh.connect())
        const sentAt = performance.now()
        const [, theirs = 0] = await within(reachWithin, run(fresh, [], { kind: 'look' }))
        clock = { theirs, ours: sentAt }
      } catch (error) {
        drop()
        throw explain(error, redis)
      }
    },

    async exchange(call) {
      const sentAt = performance.now()
      try {
        if (client === null) throw new Error('the connection is closed')
        // A command that waited longer than we did was taken for lost here: it must not grant anything.
        const deadline = Math.ceil(clock.theirs + sentAt - clock.ours) + answerWithin
        const keys = [`${keyPrefix}:gateways`, ...call.words.map(word => `${keyPrefix}:${word.id}`)]
        const numbers = await within(answerWithin, run(client, keys, toPayload(call, { gateway, deadline })))
        if (numbers[0] === status.late) throw new Error('it was late, or its clock jumped')
        clock = { theirs: numbers[1] ?? 0, ours: sentAt }
        return toReply(numbers, call)
      } catch (error) {
        drop()
        throw explain(error, redis)
      }
    },

    async close() {
      drop()
    },
  }

  /** Not closed in good order: one that hangs would never let go. */
  function drop(): void {
    if (client?.isOpen === true) client.destroy()
    client = null
  }
}

function toClient(url: string) {
  const client = createClient({
    url,
    socket: { reconnectStrategy: false, connectTimeout: reachWithin },
    disableOfflineQueue: true,
    RESP: 2,
    maintNotifications: 'disabled',
    name: 'holdfast',
  })
  // Whoever sent a command hears of it; without a listener the process would end.
  client.on('error', () => undefined)
  return client
}

async function run(client: Client, keys: readonly string[], payload: object): Promise<number[]> {
  const rest = [String(keys.length), ...keys, JSON.stringify(payload)]
  const numbers: unknown = await client.sendCommand(['EVALSHA', digest, ...rest]).catch((error: unknown) => {
    if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error
    return client.sendCommand(['EVAL', script, ...rest])
  })
  if (!Array.isArray(numbers)) throw new Error('it answered something else than the script does')
  return numbers.map(Number)
}

async function within<T>(span: number, work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  // A process that was held up itself looks first at what has come meanwhile.
  const late = (): NodeJS.Immediate => setImmediate(() => reject(new Error(`no answer within ${span} ms`)))
  const timer = setTimeout(() => setImmediate(late), span)
  // The loser's rejection is nobody's business any more.
  work.catch(() => undefined)
  return Promise.race([work, promise]).finally(() => clearTimeout(timer))
}

function toPayload({ kind, sentAt, gateways, words }: Call, more: { gateway: string; deadline: number }): object {
  return { kind, sentAt: Math.floor(sentAt), gateways, ...more, words: words.map(toWire) }
}

const toWire = ({ number, after, requests, tokens, places }: Word): object => ({
  number,
  after: after ?? -1,
  requests: requests ?? 0,
  tokens: tokens ?? 0,
  places: places ?? 0,
})

function toReply(numbers: readonly number[], { words }: Call): Reply {
  return { status: statusOf(numbers[0]), answers: words.map((_, index) => toAnswer(numbers, 2 + index * answerLength)) }
}

function statusOf(number: number | undefined): Reply['status'] {
  if (number === status.early) return 'early'
  return number === status.done ? 'done' : 'unknown'
}

function toAnswer(numbers: readonly number[], from: number): Answer {
  const [taken, r1, r2, r3, t1, t2, t3, granted, others] = numbers.slice(from, from + answerLength)
  if (taken !== 1) return null
  return {
    requests: { granted: r1 ?? 0, fitsIn: r2 ?? 0, others: r3 ?? 0 },
    tokens: { granted: t1 ?? 0, fitsIn: t2 ?? 0, others: t3 ?? 0 },
    places: { granted: granted ?? 0, others: others ?? 0 },
  }
}
