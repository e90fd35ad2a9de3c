import fc from 'fast-check'
import { expect, test } from 'vitest'
import { openStopScanner } from './stops.ts'

function scan(pieces: readonly string[], stops: readonly string[]): { text: string; sent: string[]; stopped: boolean } {
  const scanner = openStopScanner(stops)
  const sent: string[] = []
  for (const piece of pieces) {
    const { text, stopped } = scanner.push(piece)
    sent.push(text)
    if (stopped) return { text: sent.join(''), sent, stopped }
  }
  sent.push(scanner.flush())
  return { text: sent.join(''), sent, stopped: false }
}

test('text ends before the first stop string, wherever it is cut into pieces', () => {
  const letters = fc.constantFrom('a', 'b', 'c')
  const words = fc.array(letters, { minLength: 1, maxLength: 3 }).map(all => all.join(''))
  fc.assert(
    fc.property(
      fc.array(words, { maxLength: 12 }),
      fc.array(words, { minLength: 1, maxLength: 3 }),
      (pieces, stops) => {
        const whole = pieces.join('')
        const cuts = stops.map(stop => whole.indexOf(stop)).filter(at => at !== -1)
        // A longer stop may begin earlier and still be incomplete when a shorter one is met: the first to be complete wins.
        const result = scan(pieces, stops)
        expect(result.stopped).toBe(cuts.length > 0)
        if (cuts.length === 0) expect(result.text).toBe(whole)
        else {
          expect(whole.startsWith(result.text)).toBe(true)
          expect(stops.some(stop => whole.startsWith(stop, result.text.length))).toBe(true)
          expect(stops.every(stop => !result.text.includes(stop))).toBe(true)
        }
      },
    ),
  )
})

test('what can not become a stop string goes out at once, what can is held', () => {
  expect(scan(['hello', ' wor', 'ld'], ['world!']).sent).toEqual(['hello', ' ', '', 'world'])
  expect(scan(['a', 'b'], []).sent).toEqual(['a', 'b', ''])
})
