/** The process and its parent, with the library's part played by small programs: they crash, hang and answer on purpose. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test, vi } from 'vitest'
import type { Order, Said } from './orders.ts'
import { runOrder } from './process.ts'

const folder = mkdtempSync(join(tmpdir(), 'holdfast-library-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const order: Order = {
  ...{ do: 'score', reference: 'a', other: 'b', text: 'words', context: 16, windows: null, threads: 1 },
}

/** Runs `body` in the process, once it has its order as `order`. */
async function run(body: string, listeners: { signal?: AbortSignal; onSaid?: (said: Said) => void } = {}) {
  const entry = join(folder, `${Math.random().toString(36).slice(2)}.mjs`)
  const program = `process.send({ say: 'ready' }); process.once('message', order => { ${body} })`
  writeFileSync(entry, program)
  const signal = new AbortController().signal
  await runOrder({ entry, env: process.env }, order, { signal, ...listeners })
}

test('numbers come over as they are, and the end is the answer', async () => {
  const said: Said[] = []
  const score = '{ reference: 1.5, other: 2, sameTop: 1, divergences: Float64Array.of(0.1, 0.2) }'
  await run(`process.send({ say: 'window', score: ${score} }); process.send({ say: 'done' }, () => process.exit(0))`, {
    onSaid: each => said.push(each),
  })
  expect(said[1]).toEqual({
    say: 'window',
    score: { reference: 1.5, other: 2, sameTop: 1, divergences: Float64Array.of(0.1, 0.2) },
  })
})

test('no key and no token goes to it', async () => {
  const entry = join(folder, 'env.mjs')
  const answer = `process.send({ say: 'refused', why: Object.keys(process.env).join() }, () => process.exit(0))`
  writeFileSync(entry, `process.send({ say: 'ready' }); process.once('message', () => { ${answer} })`)
  const env = { ...process.env, HF_TOKEN: 'canary', HOLDFAST_KEY: 'canary', ANYTHING: 'canary' }
  const { signal } = new AbortController()
  const told = await runOrder({ entry, env }, order, { signal }).catch(String)
  expect(told).toContain('PATH')
  expect(told).not.toMatch(/HF_TOKEN|HOLDFAST_KEY|ANYTHING/)
})

test('a crash is told with its signal and the last words, and the parent goes on', async () => {
  const dies = run(`console.error('GGML_ASSERT(a == b) failed'); process.abort()`)
  await expect(dies).rejects.toThrow(/its process ended with SIGABRT; .*GGML_ASSERT\(a == b\) failed/)
})

test('an end without a word is no success', async () => {
  await expect(run('process.exit(0)')).rejects.toThrow('its process ended with exit code 0')
})

test('what is refused is told in its own words, and in those of the library', async () => {
  const refuses = `console.error("gguf_init_from_reader: invalid magic"); process.send({ say: 'refused', why: 'it can’t load a' }, () => process.exit(0))`
  await expect(run(refuses)).rejects.toThrow('llama.cpp’s library: it can’t load a; invalid magic')
})

test('whoever stops it finds nothing running any more, whatever it was doing', async () => {
  const pid = join(folder, 'pid')
  const stop = new AbortController()
  const busy = `require('node:fs').writeFileSync(${JSON.stringify(pid)}, ''); for (;;);`
  const running = run(
    `import('node:module').then(({ createRequire }) => { const require = createRequire(import.meta.url); ${busy} })`,
    {
      signal: stop.signal,
    },
  )
  await vi.waitUntil(() => existsSync(pid), { timeout: 20_000 })
  stop.abort(new Error('enough'))
  await expect(running).rejects.toThrow('enough')
})
