/** A gateway away from its controller: its certificate, its journal on the way there, and what its machine lacks. */
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { controllerName, isDue, openGatewayIdentity, splitAddress } from '../adapters/identity/index.ts'
import { openShippableJournal } from '../adapters/journal/index.ts'
import { send, shipOver, tell, tlsLine } from '../adapters/link/index.ts'
import type { Log } from '../adapters/log/index.ts'
import { withoutSockets, type GatewayReport } from '../domain/serving/index.ts'
import { openShipping } from '../services/ship-journal.ts'
import { sayGoodbye, type GatewayLink } from './gateway-link.ts'
import type { Home } from './paths.ts'

/** Where `holdfast gateway --join` leaves who this gateway is. */
export const identityFolder = (home: Pick<Home, 'gateway'>): string => join(home.gateway, 'identity')

const shipEveryMs = 100
const longestWaitMs = 2_000
/** What the journal's last words may take. */
const lastWordsMs = 5_000
const reportEveryMs = 1_000
const renewLookMs = 3_600_000
const mostProblems = 50

export function openElsewhere({ home, log }: { home: Home; log: Log }): GatewayLink {
  const identity = openGatewayIdentity(identityFolder(home))
  const joined = identity.joined()
  if (joined === null) throw new Error('this gateway has not joined a service: holdfast gateway --join <token>')
  const { id, authority, controllers } = joined
  const credentials = (certificate: string) => ({ ca: authority, cert: certificate, key: identity.key })
  const line = tlsLine({
    addresses: controllers.map(splitAddress),
    servername: controllerName,
    credentials: credentials(joined.certificate),
  })
  const problems = new Set<string>()
  let leftOut: string[] = []
  let behind = 0
  let reported = ''
  const shipping = openShipping({
    journal: openShippableJournal({ folder: home.journal }),
    depot: shipOver(line),
    onPass: bytes => {
      behind = bytes
    },
    onProblem: (problem, cause) => log.error({ err: cause }, problem),
  })

  async function report(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const now: GatewayReport = { journalBehind: behind, problems: [...leftOut, ...problems].slice(0, mostProblems) }
      const text = JSON.stringify(now)
      if (text !== reported) {
        await tell(line, '/link/v1/report', { gateway: id, ...now }).then(
          () => {
            reported = text
          },
          () => {},
        )
      }
      await pause(reportEveryMs, undefined, { signal }).catch(() => {})
    }
  }

  async function renew(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const at = identity.joined() ?? joined
      if (at !== null && isDue(at.certificate, Date.now())) {
        try {
          const { certificate } = await askForCertificate()
          identity.save({ ...at, certificate })
          line.renew(credentials(certificate))
          log.info({ gateway: id }, 'the certificate was renewed')
        } catch (error) {
          log.warn({ err: error }, 'the certificate can’t be renewed now; it is tried again')
        }
      }
      await pause(renewLookMs, undefined, { signal }).catch(() => {})
    }
  }

  async function askForCertificate(): Promise<{ certificate: string }> {
    const body = { type: 'application/json', bytes: JSON.stringify({ publicKey: identity.publicKey }) }
    const { status, text } = await send(line, '/link/v1/renew', body)
    if (status !== 200) throw new Error(`the controller answered ${status}: ${text.slice(0, 500)}`)
    // Both ends are one program, and the controller has shown its certificate.
    return JSON.parse(text) as { certificate: string }
  }

  return {
    id,
    line,
    usable(snapshot) {
      const { usable, left } = withoutSockets(snapshot)
      leftOut = left
      for (const why of left) log.warn(why)
      return usable
    },
    problem: text => problems.add(text),
    linked() {
      reported = ''
    },
    start(signal) {
      let failures = 0
      void shipping.run({
        signal,
        async wake(failed) {
          failures = failed ? failures + 1 : 0
          const waitMs = Math.min(longestWaitMs, shipEveryMs * 2 ** Math.min(failures, 10))
          await pause(waitMs, undefined, { signal }).catch(() => {})
        },
      })
      void report(signal)
      void renew(signal)
    },
    async end(run) {
      const { promise: late, resolve } = Promise.withResolvers<void>()
      const timer = setTimeout(resolve, lastWordsMs)
      await Promise.race([shipping.pass(), late]).catch((error: unknown) =>
        log.warn(
          { err: error },
          'the journal’s last records are kept here; they are sent when this gateway starts again',
        ),
      )
      clearTimeout(timer)
      if (run !== null) await sayGoodbye(line, { gateway: id, run })
      line.close()
    },
  }
}
