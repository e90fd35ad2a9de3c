/** The lifeline: a socket that a parent listens on as long as it lives. Who holds a connection to it ends with it. */
import { chmodSync, rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'

export type Lifeline = { close(): Promise<void> }

/** Whether a living parent listens there. */
function isHeld(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = connect(path)
  socket.once('connect', () => {
    socket.destroy()
    resolve(true)
  })
  socket.once('error', () => resolve(false))
  return promise
}

/** Throws when another parent holds it. A file that a dead one left is replaced. */
export async function holdLifeline(path: string): Promise<Lifeline> {
  if (await isHeld(path))
    throw new Error(
      'another Holdfast runs with this state folder: stop it first, or set HOLDFAST_HOME to another folder',
    )
  rmSync(path, { force: true })
  const ends = new Set<Socket>()
  const server = createServer(socket => {
    ends.add(socket)
    socket.on('error', () => {}).once('close', () => ends.delete(socket))
  })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject)
  server.listen(path, resolve)
  await promise
  chmodSync(path, 0o600)
  return {
    /** Cuts every end, and waits a while until each has let go: their processes have ended then. */
    async close() {
      const { promise: closed, resolve: done } = Promise.withResolvers<void>()
      server.close(() => done())
      const deadline = setTimeout(() => {
        for (const socket of ends) socket.destroy()
      }, letGoMs)
      for (const socket of ends) socket.end()
      await closed
      clearTimeout(deadline)
    },
  }
}

const letGoMs = 3_000
