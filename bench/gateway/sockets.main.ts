/**
 * What Node's own sockets cost, to measure a gateway in Node against: each client's connection has one to the model server,
 * and bytes go from one to the other unread. One argument, the model server's port; prints one JSON line.
 */
import { connect, createServer } from 'node:net'
import type { Socket } from 'node:net'
import { z } from 'zod'

const port = z.coerce.number().int().parse(process.argv[2])
const shared = Buffer.allocUnsafeSlow(64 * 1024)

const server = createServer({ noDelay: true }, client => {
  const toEngine: Socket = connect({
    port,
    host: '127.0.0.1',
    noDelay: true,
    onread: { buffer: shared, callback: pass },
  })
  client.on('data', data => toEngine.write(data))
  client.on('error', () => client.destroy()).on('close', () => toEngine.destroy())
  toEngine.on('error', () => toEngine.destroy()).on('close', () => client.destroy())

  function pass(length: number): boolean {
    // The next read overwrites it.
    client.write(Buffer.from(shared.subarray(0, length)))
    return true
  }
})
server.listen(0, '127.0.0.1', 4096, () => {
  const address = server.address()
  if (address !== null && typeof address === 'object')
    process.stdout.write(`${JSON.stringify({ port: address.port })}\n`)
})
process.once('SIGTERM', () => process.exit(0))
