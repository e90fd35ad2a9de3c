/**
 * The kind nexus against a server that is not ours: nginx with DAV has the same PUT, GET with ranges, HEAD and DELETE, lets
 * objects be replaced, and has none of Nexus's lists.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openNexus } from '../../src/adapters/registry/nexus/index.ts'
import { freePort } from '../support/redis.ts'
import { untilListening } from '../support/until-listening.ts'
import { readBytes } from './registry-bytes.ts'

const missing = (process.env['HOLDFAST_MISSING_TOOLS'] ?? '').split(',').includes('nginx')
const { signal } = new AbortController()

describe.skipIf(missing && process.env['CI'] !== 'true')('nginx with DAV', () => {
  let nginx: ChildProcess
  let folder: string
  let url: string
  const lines: string[] = []

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'holdfast-dav-'))
    const port = await freePort()
    url = `http://127.0.0.1:${port}`
    const file = join(folder, 'nginx.conf')
    writeFileSync(file, renderNginx(folder, port))
    nginx = spawn('nginx', ['-p', folder, '-c', file, '-e', join(folder, 'error.log')], { stdio: 'inherit' })
    await untilListening(port, { program: 'nginx', child: nginx })
  })
  afterAll(async () => {
    if (nginx.exitCode === null) {
      nginx.kill('SIGTERM')
      await once(nginx, 'exit')
    }
    rmSync(folder, { recursive: true, force: true })
  })

  const open = (repository: string) =>
    openNexus({
      url: `${url}/repository/${repository}/registry`,
      token: 'ada:pass',
      tell: line => lines.push(line),
      patience: { tries: 2, pauseMs: 1 },
      settleMs: { refusing: 20, replacing: 100 },
    })

  test('objects go there and come back, whole and in ranges, and are gone when they are removed', async () => {
    const place = open('models')
    const file = readBytes('dav')
    const path = 'sources/hf/a--b@c/a file+%41.json'
    expect(await place.head(path, signal)).toBe(null)
    await place.write(path, { ...file, onProgress: () => undefined }, signal)
    expect((await place.head(path, signal))?.bytes).toBe(file.bytes)
    expect(existsSync(join(folder, 'repository/models/registry', path))).toBe(true)
    const hash = createHash('sha256')
    for (const [from, to] of [
      [0, 1_000_001],
      [1_000_001, file.bytes],
    ] as const)
      for await (const piece of place.read(path, { from, to }, signal)) hash.update(piece)
    expect(hash.digest('hex')).toBe(file.sha256)
    await place.remove(path, signal)
    await place.remove(path, signal)
    expect(await place.head(path, signal)).toBe(null)
  })

  test('of several creators at once one is told that it was', async () => {
    const told = await Promise.all(
      ['1', '2', '3'].map(text => open('models').create('versions/a.json', Buffer.from(text), signal)),
    )
    expect(told.toSorted()).toEqual(['created', 'exists', 'exists'])
    const kept = readFileSync(join(folder, 'repository/models/registry/versions/a.json'), 'utf8')
    expect(kept).toBe(String(told.indexOf('created') + 1))
    expect(lines[0]).toMatch(/lets what is there be replaced/)
  })

  test('a proxy that lets no large body through is told for what it is, before the body goes', async () => {
    const file = readBytes('large')
    let opened = 0
    const upload = {
      ...file,
      onProgress: () => undefined,
      open: (range: { from: number; to: number }) => {
        opened += 1
        return file.open(range)
      },
    }
    await expect(open('small').write('blobs/a', upload, signal)).rejects.toThrow(/client_max_body_size 0/)
    expect(opened).toBe(0)
  })
})

function renderNginx(folder: string, port: number): string {
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
    root ${folder};
    location /service/ { return 403; }
    location /repository/models/ {
      client_max_body_size 0;
      dav_methods PUT DELETE;
      create_full_put_path on;
    }
    location /repository/small/ {
      dav_methods PUT DELETE;
      create_full_put_path on;
    }
  }
}
`
}
