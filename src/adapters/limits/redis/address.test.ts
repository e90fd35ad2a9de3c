import { describe, expect, test } from 'vitest'
import { explain, parseRedisAddress } from './address.ts'

const secret = 'h0rse-battery'

describe('the address of a Redis', () => {
  test.each([
    ['redis://127.0.0.1:6379', '127.0.0.1:6379'],
    [`redis://:${secret}@cache.internal/3`, 'cache.internal:6379'],
    [`rediss://user:${secret}@cache.internal:6380`, 'cache.internal:6380'],
    ['valkeys://cache.internal', 'cache.internal:6379'],
  ])('%s is read', (text, shown) => expect(parseRedisAddress(text).shown).toBe(shown))

  test('valkey is spoken to as redis', () => {
    expect(parseRedisAddress('valkey://cache/1').url).toBe('redis://cache/1')
    expect(parseRedisAddress('valkeys://cache').url).toBe('rediss://cache')
  })

  test.each(['', 'cache:6379', `http://:${secret}@cache`, `redis://:${secret}@cache/first`, `redis//:${secret}@cache`])(
    '«%s» is refused with what to write, and without the password',
    text => {
      const refused = (): unknown => parseRedisAddress(text)
      expect(refused).toThrow(/Write redis:\/\/\[user:password@\]host/)
      expect(refused).not.toThrow(new RegExp(secret))
    },
  )

  test.each([
    [Object.assign(new Error(`connect ECONNREFUSED`), { code: 'ECONNREFUSED' }), /nothing listens there/],
    [new Error('WRONGPASS invalid username-password pair'), /refuses the user or the password/],
    [new Error('NOAUTH Authentication required.'), /wants a password/],
    [new Error("READONLY You can't write against a read only replica."), /read-only replica/],
    [new Error(`no idea, ${secret}, about it`), /no idea, \*\*\*, about it/],
  ])('%s is told with where and what to do', (error, said) => {
    const told = explain(error, parseRedisAddress(`redis://:${encodeURIComponent(secret)}@cache:7000`)).message
    expect(told).toMatch(said)
    expect(told).toContain('Redis at cache:7000: ')
    expect(told).not.toContain(secret)
  })
})
