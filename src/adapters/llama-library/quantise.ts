/** Has the library quantise a file; what it does it tells on standard error, line by line (`log-lines.ts`). */
import { address, alloc, encode, sizeof, view } from 'koffi'
import { importanceData } from './layout.ts'
import type { Library } from './library.ts'
import type { Order } from './orders.ts'

/** Throws an Error when it can't. */
export async function quantise(library: Library, order: Extract<Order, { do: 'quantise' }>): Promise<void> {
  const code = await library.quantise(order.from, order.to, {
    nthread: order.threads,
    ftype: order.fileType,
    allow_requantize: order.requantise,
    dry_run: order.dryRun,
    imatrix: order.importance === null ? null : toNative(order.importance),
  })
  if (code !== 0) throw new Error('')
}

/** The list that the library reads, closed by an entry without a name. It stays: the process ends after the one order. */
function toNative(importance: ReadonlyMap<string, Float32Array>): unknown {
  const entries = [...importance]
  const list = alloc(importanceData, entries.length + 1)
  new Uint8Array(view(list, sizeof(importanceData) * (entries.length + 1))).fill(0)
  entries.forEach(([name, values], at) => {
    const text = new TextEncoder().encode(name)
    const nativeName = alloc('uint8_t', text.length + 1)
    new Uint8Array(view(nativeName, text.length + 1)).set([...text, 0])
    const data = alloc('float', values.length)
    new Float32Array(view(data, values.byteLength)).set(values)
    const entry = { name: address(nativeName), data: address(data), size: values.length }
    encode(list, at * sizeof(importanceData), importanceData, entry)
  })
  return list
}
