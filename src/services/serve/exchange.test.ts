import { expect, test } from 'vitest'
import type { Principal } from '../../domain/access/index.ts'
import { keyId, teamName } from '../../domain/units.ts'
import { ownerOf, pipeline, type Exchange } from './exchange.ts'

const token = (issuer: string, id: string): Principal => ({
  kind: 'token',
  id: keyId(id),
  issuer,
  alias: null,
  team: teamName('search'),
})

test('T8 kept answers belong to one person of one issuer, whatever others are called', () => {
  const owners = [
    { kind: 'admin' } as const,
    { kind: 'key', id: keyId('key_1'), alias: null, team: null } as const,
    token('https://a.example', 'jwt:ada'),
    token('https://b.example', 'jwt:ada'),
    token('https://a.example', 'admin'),
    token('https://a.example","jwt:', 'ada'),
  ].map(ownerOf)
  expect(new Set(owners).size).toBe(owners.length)
  expect(ownerOf(token('https://a.example', 'jwt:ada'))).toBe(owners[2])
})

test('however a request ends, what its stages took is given back, the last first', async () => {
  // The stages here look at nothing of it.
  const exchange = {} as Exchange
  for (const fails of [false, true]) {
    const log: string[] = []
    const serve = pipeline(
      (_, held) => {
        held.push(() => log.push('first back'))
      },
      async (_, held) => {
        await Promise.resolve()
        held.push(() => log.push('second back'))
        if (fails) throw new Error('refused')
      },
      () => void log.push('served'),
    )
    const outcome = serve(exchange).then(
      () => 'answered',
      (error: Error) => error.message,
    )
    expect(await outcome).toBe(fails ? 'refused' : 'answered')
    expect(log).toEqual([...(fails ? [] : ['served']), 'second back', 'first back'])
  }
})
