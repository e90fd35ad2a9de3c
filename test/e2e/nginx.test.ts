/** Behind the proxy that most people have in front: real nginx with its own defaults, buffering included. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { startFakeEngine, type FakeEngine } from '../../tools/fake-engine/index.ts'
import { adminKey, startService, type Service } from '../support/service.ts'

const missing = (process.env['HOLDFAST_MISSING_TOOLS'] ?? '').split(',').includes('nginx')

describe.skipIf(missing && process.env['CI'] !== 'true')('behind nginx', () => {
  let engine: FakeEngine
  let service: Service
  let nginx: ChildProcess
  let folder: string
  let url: string

  beforeAll(async () => {
    engine = await startFakeEngine({ tokens: 100, gapMs: 100 })
    const version = 'dev-v1.0-fake-fp16-p0'
    service = await startService({
      spec: stringify({
        versions: [{ name: version, engine: { kind: 'openai' }, replicas: [{ id: 'a', url: `${engine.url}/v1` }] }],
        models: [{ name: 'fake', live: version }],
      }),
    })
    folder = mkdtempSync(join(tmpdir(), 'holdfast-nginx-'))
    const port = await freePort()
    url = `http://127.0.0.1:${port}`
    const file = join(folder, 'nginx.conf')
    writeFileSync(file, renderNginx({ folder, port, upstream: new URL(service.url).host }))
    nginx = spawn('nginx', ['-p', folder, '-c', file, '-e', join(folder, 'error.log')], { stdio: 'inherit' })
    await accepting(port)
  })
  afterAll(async () => {
    if (nginx?.exitCode === null) {
      nginx.kill('SIGTERM')
      await once(nginx, 'exit')
    }
    await service?.stop()
    await engine?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  const ask = (signal: AbortSignal): Promise<Response> =>
    fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      signal,
      headers: { 'authorization': `Bearer ${adminKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'fake', stream: true, messages: [{ role: 'user', content: 'Hi' }] }),
    })

  test('a token arrives while the engine is still at work, and leaving stops it', async () => {
    const leave = new AbortController()
    const answer = await ask(leave.signal)
    const reader = answer.body?.getReader()
    const first = await reader?.read()
    expect(Buffer.from(first?.value ?? []).toString()).toContain('data: {')
    // Ten seconds of answer lie ahead: buffered, nothing would have come before it ended.
    expect(engine.state()).toMatchObject({ running: 1, finished: 0 })
    leave.abort()
    await engine.until(({ running, aborted }) => running === 0 && aborted === 1)
  })
})

function renderNginx({ folder, port, upstream }: { folder: string; port: number; upstream: string }): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  return `daemon off;
${process.getuid?.() === 0 ? 'user root;' : ''}
pid ${folder}/nginx.pid;
events {}
http {
  access_log off;
  ${temporary.map(part => `${part}_temp_path ${folder}/${part};`).join('\n  ')}
  server {
    listen 127.0.0.1:${port};
    location / { proxy_pass http://${upstream}; proxy_http_version 1.1; }
  }
}
`
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  // A TCP server that listens has an address object.
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** Resolves when somebody accepts connections there; the suite's hook has the deadline. */
async function accepting(port: number): Promise<void> {
  for (;;) {
    const socket = connect(port, '127.0.0.1')
    const accepted = await once(socket, 'connect').then(
      () => true,
      () => false,
    )
    socket.destroy()
    if (accepted) return
  }
}
