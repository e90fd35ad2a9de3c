/** Orders to a parent from this machine's own user: one order a connection, one JSON a line, over a Unix socket. */
import { chmodSync, rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { createInterface } from 'node:readline'

/** How an order ended. `result`: facts for `--json`. */
export type OrderEnd = { ok: boolean; text: string; result: object }

type Line = { say: string } | { end: OrderEnd }

/** `handle` tells of its progress with `say`, and does not reject. */
export async function listenForOrders(
  path: string,
  handle: (order: unknown, say: (text: string) => void) => Promise<OrderEnd>,
): Promise<{ close(): void }> {
  rmSync(path, { force: true })
  const open = new Set<Socket>()
  const server = createServer(socket => {
    open.add(socket)
    socket.on('error', () => {}).once('close', () => open.delete(socket))
    const write = (line: Line): void => void (socket.writable && socket.write(`${JSON.stringify(line)}\n`))
    createInterface({ input: socket })
      .on('error', () => {})
      .once('line', line => {
        const order = parse(line)
        void handle(order, say => write({ say })).then(end => {
          write({ end })
          socket.end()
        })
      })
  })
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  server.once('error', reject).listen(path, resolve)
  await promise
  chmodSync(path, 0o600)
  return {
    close() {
      server.close()
      for (const socket of open) socket.destroy()
    },
  }
}

/** Rejects when nobody listens at `path`, or when who listened is gone before the end. */
export function giveOrder(path: string, order: object, say: (text: string) => void): Promise<OrderEnd> {
  const { promise, resolve, reject } = Promise.withResolvers<OrderEnd>()
  const socket = connect(path, () => socket.write(`${JSON.stringify(order)}\n`))
  socket.once('error', reject)
  socket.once('close', () => reject(new Error('the service went away before it was done')))
  createInterface({ input: socket })
    .on('error', () => {})
    .on('line', text => {
      // Written by the same program, a few lines up.
      const line = parse(text) as Line
      if ('say' in line) say(line.say)
      else {
        resolve(line.end)
        socket.destroy()
      }
    })
  return promise
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
