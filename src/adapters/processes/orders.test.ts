import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { giveOrder, listenForOrders } from './orders.ts'

let folder: string
let socket: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hf-orders-'))
  socket = join(folder, 'orders.sock')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

test('an order is carried out, its progress is told, and only its owner may give one', async () => {
  const orders = await listenForOrders(socket, async (order, say) => {
    say('one')
    say('two')
    return { ok: true, text: 'done', result: { order } }
  })
  expect(statSync(socket).mode & 0o777).toBe(0o600)
  const said: string[] = []
  const end = await giveOrder(socket, { do: 'x' }, text => said.push(text))
  expect([said, end]).toEqual([['one', 'two'], { ok: true, text: 'done', result: { order: { do: 'x' } } }])
  orders.close()
  await expect(giveOrder(socket, {}, () => {})).rejects.toThrow(/ENOENT|ECONNREFUSED/)
})

test('when the service goes away in the middle, whoever ordered is told', async () => {
  const begun = Promise.withResolvers<void>()
  const orders = await listenForOrders(socket, () => {
    begun.resolve()
    return new Promise(() => {})
  })
  const end = giveOrder(socket, {}, () => {})
  await begun.promise
  orders.close()
  await expect(end).rejects.toThrow('the service went away before it was done')
})
