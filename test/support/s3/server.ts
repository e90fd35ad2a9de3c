/** moto's S3 on loopback, from PyPI, and a way to it that counts what passes and can stop in the middle. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer, request as requestHttp, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pythonWith } from '../python-environment.ts'
import { freePort } from '../redis.ts'
import { untilListening } from '../until-listening.ts'

/** `null` where there is no Python; then tests of S3 are skipped by name. */
export const s3Interpreter = (): string | null =>
  pythonWith(join(import.meta.dirname, 'requirements.txt'), 'Tests of S3')

export type S3Server = Awaited<ReturnType<typeof startS3>>

/** With one bucket in it. Whoever brings any keys may do all: signatures are tested by AWS's own examples. */
export async function startS3(interpreter: string) {
  const port = await freePort()
  const child = spawn(interpreter, ['-m', 'moto.server', '-H', '127.0.0.1', '-p', String(port)], { stdio: 'ignore' })
  const ended = once(child, 'exit')
  await untilListening(port, { program: 'moto', child })
  const url = `http://127.0.0.1:${port}`
  const bucket = `${url}/models`
  await fetch(bucket, { method: 'PUT' })
  return {
    bucket,
    port,
    async close(): Promise<void> {
      child.kill('SIGKILL')
      await ended
    },
  }
}

/** A way to a server that counts the bytes of bodies which pass, and holds the requests that it is told to. */
export async function startWay(to: number) {
  let passed = 0
  let isHeld = (_url: string): boolean => false
  let held = Promise.withResolvers<void>()
  const way = createServer((request, response) => void pass(request, response).catch(() => response.destroy()))
  await new Promise<void>(resolve => way.listen(0, '127.0.0.1', resolve))
  // A TCP server that listens has an address object.
  const { port } = way.address() as AddressInfo

  async function pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = request
    if (isHeld(url)) {
      held.resolve()
      await once(response, 'close')
      return
    }
    const onward = requestHttp({ host: '127.0.0.1', port: to, method, path: url, headers })
    onward.on('error', () => response.destroy())
    onward.once('response', answer => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
    })
    // A request in bytes (no encoding was set) yields Buffers.
    for await (const piece of request as AsyncIterable<Buffer>) {
      passed += piece.length
      if (!onward.write(piece)) await once(onward, 'drain')
    }
    onward.end()
  }

  return {
    bucket: `http://127.0.0.1:${port}/models`,
    passed: () => passed,
    /** Requests for such addresses wait, until their sender goes. Resolves when the first one does. */
    hold(which: (url: string) => boolean): Promise<void> {
      isHeld = which
      held = Promise.withResolvers<void>()
      return held.promise
    },
    async close(): Promise<void> {
      way.closeAllConnections()
      await new Promise(resolve => way.close(resolve))
    },
  }
}
