/** The process that calls llama.cpp's library: takes one order from its parent, carries it out, and ends. */
import { carryOut, type Order, type Said } from '../adapters/llama-library/index.ts'

export async function runLlamaLibrary(): Promise<never> {
  // Without a parent nobody wants the work; an orderly end would wait for C code that may take hours.
  process.once('disconnect', () => process.kill(process.pid, 'SIGKILL'))
  const { promise, resolve } = Promise.withResolvers<Order>()
  // Only adapters/llama-library of this program gives orders here.
  process.once('message', message => resolve(message as Order))
  const sent: Promise<void>[] = []
  const say = (said: Said): void => {
    const { promise: gone, resolve: done } = Promise.withResolvers<void>()
    sent.push(gone)
    process.send?.(said, () => done())
  }
  say({ say: 'ready' })
  await carryOut(await promise, say)
  await Promise.all(sent)
  process.exit(0)
}
