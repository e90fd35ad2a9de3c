import { sizeof } from 'koffi'
import { expect, test } from 'vitest'
import { contextParams, firstOddMember, modelParams, quantiseParams } from './layout.ts'
import { openLibrary } from './library.ts'

test.each([quantiseParams, modelParams, contextParams])(
  'a library whose defaults are others is noticed (%#)',
  layout => {
    expect(firstOddMember(layout, layout.defaults)).toBe(null)
    const names = Object.keys(layout.defaults)
    for (const name of names) expect(firstOddMember(layout, { ...layout.defaults, [name]: 77 })).toBe(name)
    // A member more at the front moves every other one.
    const values = Object.values(layout.defaults)
    const shifted = Object.fromEntries(names.map((name, i) => [name, values[i - 1] ?? 5]))
    expect(firstOddMember(layout, shifted)).not.toBe(null)
  },
)

test('the structures are as large as a C compiler makes them of llama.h', () => {
  // g++ 12 on x86-64, of the header that node-llama-cpp brings.
  expect([quantiseParams, modelParams, contextParams].map(({ type }) => sizeof(type))).toEqual([64, 80, 160])
})

test('the library that is installed is the one that the layouts are of', () => {
  expect(Object.keys(openLibrary())).toContain('quantise')
})
