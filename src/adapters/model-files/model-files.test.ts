import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { ArtifactError } from '../../domain/catalog/index.ts'
import type { ModelFile, ModelPlace } from '../../services/inspect-ports.ts'
import { openLocalPlace, openWebPlace } from './index.ts'

const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
})

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1')

async function opened(place: ModelPlace, path: string): Promise<ModelFile> {
  const file = await place.open(path)
  if (file === null) throw new Error(`no ${path}`)
  closers.push(() => file.close())
  return file
}

describe('on this machine', () => {
  function folder(): string {
    const path = mkdtempSync(join(tmpdir(), 'holdfast-model-'))
    closers.push(() => rmSync(path, { recursive: true, force: true }))
    return path
  }

  test('a file is read where it is asked for, and no further than it goes', async () => {
    const root = folder()
    writeFileSync(join(root, 'm.gguf'), '0123456789')
    const place = await openLocalPlace(join(root, 'm.gguf'))
    const file = await opened(place, place.file ?? '')
    expect(file.bytes).toBe(10)
    expect(text(await file.read(3, 4))).toBe('3456')
    expect(text(await file.read(8, 100))).toBe('89')
    expect(text(await file.read(50, 100))).toBe('')
  })

  test('a folder is listed with what is one level down, through links, in order', async () => {
    const root = folder()
    mkdirSync(join(root, 'variables/deep'), { recursive: true })
    mkdirSync(join(root, '.cache'))
    writeFileSync(join(root, 'blob'), 'abc')
    symlinkSync('blob', join(root, 'a.bin'))
    symlinkSync('nowhere', join(root, 'broken'))
    for (const path of ['variables/v.index', 'variables/deep/x', '.cache/y']) writeFileSync(join(root, path), 'z')
    const place = await openLocalPlace(root)
    expect(place.file).toBe(null)
    expect(await place.list()).toEqual([
      { path: 'a.bin', bytes: 3 },
      { path: 'blob', bytes: 3 },
      { path: 'variables/v.index', bytes: 1 },
    ])
    expect(await place.open('gone')).toBe(null)
  })

  test('what is no plain file is refused instead of waited for', async () => {
    const socket = join(folder(), 'm.gguf')
    const server = createServer()
    await new Promise<void>(resolve => server.listen(socket, resolve))
    closers.push(() => new Promise(resolve => server.close(resolve)))
    const place = await openLocalPlace(socket)
    await expect(place.open('m.gguf')).rejects.toThrow(/no plain file/)
  })

  test('what is not there is told, and what was meant', async () => {
    await expect(openLocalPlace('/nowhere/m.gguf')).rejects.toThrow('there is no file or folder /nowhere/m.gguf')
    await expect(openLocalPlace('qwen/qwen3-8b')).rejects.toThrow(/write hf:qwen\/qwen3-8b/)
  })
})

describe('on the web', () => {
  const body = Buffer.from(Array.from({ length: 300_000 }, (_, i) => i % 251))
  const { signal } = new AbortController()

  async function listen(handler: RequestListener): Promise<string> {
    const server = createServer(handler)
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    closers.push(async () => {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    })
    // A TCP server that listens has an address object.
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  }

  const ranged: RequestListener = (request, response) => {
    const [, from, to] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? []
    const part = body.subarray(Number(from), Number(to) + 1)
    response
      .writeHead(206, { 'content-range': `bytes ${from}-${Number(from) + part.length - 1}/${body.length}` })
      .end(part)
  }

  test('ranges are read, and the beginning only once', async () => {
    const seen: (string | undefined)[] = []
    const url = await listen((request, response) => {
      seen.push(request.headers.range)
      ranged(request, response)
    })
    const place = openWebPlace(`${url}/models/m.gguf?download=true`, { signal })
    expect(place.file).toBe('m.gguf')
    const file = await opened(place, 'm.gguf')
    expect(file.bytes).toBe(body.length)
    expect(Buffer.from(await file.read(10, 100))).toEqual(body.subarray(10, 110))
    expect(Buffer.from(await file.read(299_990, 100))).toEqual(body.subarray(299_990))
    expect(seen).toEqual(['bytes=0-65535', 'bytes=299990-299999'])
  })

  test('a server without ranges is read from the beginning, and not to the end', async () => {
    const sent = { bytes: 0, closed: Promise.withResolvers<void>() }
    const url = await listen((_, response) => {
      response.writeHead(200, { 'content-length': 1024 * 1024 * 1024 * 1024 })
      response.on('close', () => sent.closed.resolve())
      const more = (): void => {
        while (!response.destroyed) {
          sent.bytes += body.length
          if (!response.write(body)) break
        }
      }
      response.on('drain', more)
      more()
    })
    const place = openWebPlace(`${url}/m.gguf`, { signal })
    const file = await place.open('m.gguf')
    expect(file?.bytes).toBe(1024 ** 4)
    expect(Buffer.from((await file?.read(299_998, 4)) ?? [])).toEqual(Buffer.from([...body.subarray(299_998), 0, 1]))
    expect(Buffer.from((await file?.read(5, 5)) ?? [])).toEqual(body.subarray(5, 10))
    await expect(file?.read(1024 ** 3, 5)).rejects.toThrow(/only from their beginning.*fetch the file/)
    await file?.close()
    await sent.closed.promise
    expect(sent.bytes).toBeLessThan(64 * 1024 * 1024)
  })

  test('a length that nobody tells is unknown, and the end is the end', async () => {
    const url = await listen((_, response) => response.writeHead(200).end('short'))
    const file = await opened(openWebPlace(`${url}/m.gguf`, { signal }), 'm.gguf')
    expect(file.bytes).toBe(Infinity)
    expect(text(await file.read(0, 100))).toBe('short')
  })

  test('files beside it have its address; what is missing is none', async () => {
    const seen: (string | undefined)[] = []
    const url = await listen((request, response) => {
      seen.push(request.url)
      response.writeHead(404).end()
    })
    const place = openWebPlace(`${url}/a/model%20x.safetensors?token=1`, { signal })
    expect(place.file).toBe('model x.safetensors')
    expect(await place.open('config.json')).toBe(null)
    expect(await place.open('model x.safetensors')).toBe(null)
    expect(seen).toEqual(['/a/config.json?token=1', '/a/model%20x.safetensors?token=1'])
    expect(await place.list()).toBe(null)
  })

  test.each<[string, RequestListener, 'soon' | 'never', RegExp]>([
    ['a server that is busy', (_, response) => response.writeHead(503).end(), 'soon', /answers 503/],
    ['one that wants a login', (_, response) => response.writeHead(403).end(), 'never', /answers 403.*wants a login/],
    ['one that cuts', (request, response) => void (request.socket.destroy(), response), 'soon', /cut the connection/],
  ])('%s is told', async (_, handler, retry, words) => {
    const place = openWebPlace(`${await listen(handler)}/m.gguf`, { signal })
    const error: unknown = await place.open('m.gguf').catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(ArtifactError)
    expect(error).toMatchObject({ retry, message: expect.stringMatching(words) })
  })

  test('one that falls silent is not waited for, before its head and in its body', async () => {
    const headless = openWebPlace(`${await listen(() => {})}/m.gguf`, { signal, silenceMs: 50 })
    await expect(headless.open('m.gguf')).rejects.toThrow(/was silent for 0\.05 s/)
    const half = await listen((_, response) => response.writeHead(200, { 'content-length': 100 }).write('half'))
    const file = await opened(openWebPlace(`${half}/m.gguf`, { signal, silenceMs: 1000 }), 'm.gguf')
    await expect(file.read(0, 100)).rejects.toThrow(/was silent/)
  })

  test('other bytes than those that were asked for are refused', async () => {
    const url = await listen((_, response) =>
      response.writeHead(206, { 'content-range': 'bytes 0-9/300000' }).end(body.subarray(0, 10)),
    )
    const file = await opened(openWebPlace(`${url}/m.gguf`, { signal }), 'm.gguf')
    await expect(file.read(200_000, 10)).rejects.toThrow(/asked for bytes from 200000 and sends others/)
  })

  test('an address without a file is refused', () => {
    expect(() => openWebPlace('https://host/models/', { signal })).toThrow(/name a file of it/)
    expect(() => openWebPlace('https://', { signal })).toThrow(/no address/)
  })
})
