import { expect, test } from 'vitest'
import type { Fetch } from '../fetches.ts'
import { movingLine, openNews, tellFetches } from './tell-fetches.ts'

const fetching = (more: Partial<Fetch> = {}): Fetch => ({
  version: 'dev-v1.0-a-q8-0-p0',
  source: 'hf:owner/name@4f1c2d9e:folder/Model-Q8_0.gguf',
  state: 'fetching',
  doneBytes: 4_200_000_000,
  totalBytes: 10_000_000_000,
  bytesPerSecond: 35_000_000,
  why: null,
  ...more,
})

/** What is told after each look, a second apart. */
function tell(...looks: Fetch[][]): string[][] {
  const news = openNews()
  return looks.map((fetches, i) => news(fetches, { nowMs: i * 1000, progress: true }))
}

test('a line has the file, percent, size, speed and what is left', () => {
  expect(movingLine([fetching()])).toBe('fetching Model-Q8_0.gguf: 42 % of 10.0 GB, 35.0 MB/s, 3 min left')
  expect(movingLine([fetching({ doneBytes: 9_999_000_000 })])).toMatch(/: 99 % .*, 1 s left$/)
  expect(movingLine([fetching({ bytesPerSecond: 500_000 })])).toMatch(/, 0\.5 MB\/s, 3\.2 h left$/)
  expect(movingLine([fetching({ bytesPerSecond: null })])).toBe('fetching Model-Q8_0.gguf: 42 % of 10.0 GB')
  expect(movingLine([fetching({ totalBytes: 0 })])).toBe('fetching Model-Q8_0.gguf')
  expect(movingLine([fetching({ source: 'hf:a/b@4f1c2d9e:m.gguf', why: 'waiting' })])).toBe(
    'fetching m.gguf: 42 % of 10.0 GB, waiting',
  )
  expect(movingLine([fetching({ state: 'done' })])).toBe('')
})

test('plain lines come for every tenth, for what is waited for, and every ten seconds', () => {
  const at = (percent: number, why: string | null = null): Fetch[] => [
    fetching({ doneBytes: percent * 100_000_000, why }),
  ]
  const told = tell(
    at(0),
    at(4),
    at(9),
    at(10),
    at(11),
    at(11, 'cut; again in 1 s'),
    at(11, 'cut; again in 1 s'),
    at(12),
  )
  expect(told.map(lines => lines.length)).toEqual([1, 0, 0, 1, 0, 1, 0, 1])
  expect(tell(...Array.from({ length: 12 }, () => at(0))).map(lines => lines.length)).toEqual([
    ...[1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0],
  ])
})

test('the end is told once, and why there is none', () => {
  const failed = fetching({ state: 'failed', why: 'it is gated' })
  expect(tell([fetching()], [failed], [failed], [fetching({ state: 'done' })]).slice(1)).toEqual([
    ["holdfast: hf:owner/name@4f1c2d9e:folder/Model-Q8_0.gguf can't be fetched: it is gated"],
    [],
    ['holdfast: Model-Q8_0.gguf is here, whole and verified'],
  ])
})

test('on a terminal one line moves, and what stays stands above it', async () => {
  const stop = new AbortController()
  const written: string[] = []
  const looks = [[fetching()], [fetching({ doneBytes: 5_000_000_000 })], [fetching({ state: 'done' })], []]
  await tellFetches({
    read: () => {
      if (looks.length === 1) stop.abort()
      return looks.shift() ?? []
    },
    write: text => written.push(text),
    moving: () => true,
    signal: stop.signal,
  }).over
  const clear = '\r\u{1b}[K'
  expect(written).toEqual([
    'fetching Model-Q8_0.gguf: 42 % of 10.0 GB, 35.0 MB/s, 3 min left',
    `${clear}fetching Model-Q8_0.gguf: 50 % of 10.0 GB, 35.0 MB/s, 2 min left`,
    `${clear}holdfast: Model-Q8_0.gguf is here, whole and verified\n`,
  ])
})

test('what is new is told at once where something is said on account of it, and not again', async () => {
  const stop = new AbortController()
  const written: string[] = []
  let now = [fetching()]
  const telling = tellFetches({
    read: () => now,
    write: text => written.push(text),
    moving: () => false,
    signal: stop.signal,
  })
  now = [fetching({ state: 'failed', why: 'it is gated' })]
  telling.look()
  telling.look()
  expect(written.slice(1)).toEqual([
    "holdfast: hf:owner/name@4f1c2d9e:folder/Model-Q8_0.gguf can't be fetched: it is gated\n",
  ])
  stop.abort()
  await telling.over
})
