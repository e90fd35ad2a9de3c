/** Administration while things break: keys are made and revoked all the time, and what was acknowledged is remembered. */
import { setTimeout as pause } from 'node:timers/promises'
import { ask } from '../support/load.ts'
import { adminKey, type Service } from '../support/service.ts'
import { until } from '../support/settled.ts'
import type { Finding } from './finding.ts'

/** `named`: its revocation was acknowledged with the names of gateways on which it was not in force yet. */
type Made = { id: string; key: string; state: 'in use' | 'revoked' | 'named' }

const betweenMs = 300
const patienceMs = 10_000
/** For a gateway that was named as not heard from, to dial in and hear of it. */
const hearsWithinMs = 10_000
const trifle = { model: 'coder', messages: [{ role: 'user', content: 'Am I in?' }] }

export function startActs(service: Pick<Service, 'call' | 'url'>, signal: AbortSignal | undefined) {
  const made: Made[] = []
  const violations: string[] = []
  let unanswered = 0
  let stopping = false
  const over = run()

  async function run(): Promise<void> {
    for (let n = 0; !stopping && signal?.aborted !== true; n++) {
      await makeOne(n)
      const next = made.find(({ state }) => state === 'in use')
      if (n % 2 === 1 && next !== undefined) await revoke(next)
      await pause(betweenMs)
    }
  }

  async function makeOne(n: number): Promise<void> {
    const answer = await send('/api/v1/keys', { method: 'POST', body: JSON.stringify({ alias: `act-${n}` }) })
    if (answer === null) return
    const { id, key } = answer as Made
    made.push({ id, key, state: 'in use' })
  }

  async function revoke(one: Made): Promise<void> {
    const answer = await send(`/api/v1/keys/${one.id}`, { method: 'DELETE' })
    if (answer === null) return
    const { inForce } = answer as { inForce: { waitingFor: string[] } }
    one.state = inForce.waitingFor.length === 0 ? 'revoked' : 'named'
    if (one.state === 'named') return
    const status = await tryKey(one.key)
    // `null`: its gateway died under it. 503: it serves nobody at the moment.
    if (status !== null && status !== 401 && status !== 503)
      violations.push(`the revocation of key ${one.id} was in force, and a request with it got ${status}`)
  }

  /** The status of the answer; `null`: there was none. */
  async function tryKey(key: string): Promise<number | null> {
    return (await ask({ url: service.url, key, body: trifle })).status
  }

  /** `null`: it was not acknowledged, so it may be done or not. */
  async function send(path: string, init: RequestInit): Promise<unknown> {
    try {
      const answer = await service.call(path, undefined, {
        ...init,
        headers: {
          authorization: `Bearer ${adminKey}`,
          ...(init.body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        signal: AbortSignal.timeout(patienceMs),
      })
      const body: unknown = await answer.json()
      if (answer.ok) return body
    } catch {
      // Its gateway or controller died under it.
    }
    unanswered++
    return null
  }

  return {
    /** Looks for everything that was acknowledged. */
    async finding(): Promise<Finding> {
      stopping = true
      await over
      const { keys } = (await (await service.call('/api/v1/keys')).json()) as { keys: { id: string; status: string }[] }
      for (const { id, key, state } of made) {
        const listed = keys.find(one => one.id === id)
        let status = await tryKey(key)
        const isRefused = async (): Promise<boolean> => (status = await tryKey(key)) === 401
        if (state === 'named') await until(`${id} is refused`, isRefused, hearsWithinMs).catch(() => {})
        if (state !== 'in use' && status !== 401)
          violations.push(`key ${id} was revoked, and a request with it got ${status}`)
        if (state !== 'in use') continue
        if (listed === undefined) violations.push(`key ${id} was made and acknowledged, and is gone`)
        if (status !== 200 && !isInDoubt(id)) violations.push(`key ${id} is in force, and got ${status}`)
      }
      return {
        promise: 'what administration acknowledged is there after every kill; revoked keys stay revoked',
        violations,
        evidence: `${made.length} keys made, ${made.filter(({ state }) => state !== 'in use').length} revoked, ${unanswered} acts not acknowledged`,
      }

      /** Its revocation was not acknowledged, and may have been done. */
      function isInDoubt(id: string): boolean {
        return keys.find(one => one.id === id)?.status === 'revoked'
      }
    },
  }
}
