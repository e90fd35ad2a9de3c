/** Listens on a Unix socket that only this user may use. */
import { chmodSync, rmSync } from 'node:fs'

type Listens = { listen: (at: { path: string }) => Promise<string> }

/** What was killed leaves its socket behind; the parent sees to it that there is one controller here. */
export async function listenAt(app: Listens, path: string): Promise<void> {
  rmSync(path, { force: true })
  await app.listen({ path })
  chmodSync(path, 0o600)
}
