/** What stands at the controller's socket while this controller may not act: every question is answered with why. */
import { openAdminServer } from '../adapters/admin-http/index.ts'
import type { Log } from '../adapters/log/index.ts'
import { FaultError } from '../domain/fault.ts'
import type { Fault } from '../domain/fault.ts'
import { listenAt } from './listen-at.ts'
import { productVersion } from './version.ts'

export type Standby = {
  say(why: Fault): void
  close(): Promise<void>
}

export async function openStandby({ socket, log }: { socket: string; log: Log }): Promise<Standby> {
  let said: Fault = { kind: 'not-ready', why: 'the controller is starting.' }
  const app = await openAdminServer({ version: productVersion(), log })
  app.addHook('onRequest', async () => {
    throw new FaultError(said)
  })
  await listenAt(app, socket)
  return {
    say(next) {
      said = next
    },
    close: () => app.close(),
  }
}
