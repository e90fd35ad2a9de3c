import { expect, test } from 'vitest'
import { refuseByScope, routeScopes, toScopes, unbounded } from './scopes.ts'

const asked = { route: 'chat', from: '::ffff:10.0.0.5' } as const

test('A17 a key without routes may be used for each of them', () => {
  for (const route of routeScopes) expect(refuseByScope(unbounded, { ...asked, route })).toBeNull()
  expect(toScopes({ routes: null, addresses: null })).toBe(unbounded)
})

test('A17 a key with routes may be used for those and no other', () => {
  const scopes = toScopes({ routes: ['chat', 'models'], addresses: null })
  for (const route of routeScopes) {
    const permitted = route === 'chat' || route === 'models'
    expect(refuseByScope(scopes, { ...asked, route })).toEqual(
      permitted ? null : { kind: 'route-not-permitted', route, permitted: ['chat', 'models'] },
    )
  }
  expect(refuseByScope(toScopes({ routes: [], addresses: null }), asked)).toMatchObject({ kind: 'route-not-permitted' })
})

test('A18 a key with addresses may be used from those and nowhere else, and is not told which', () => {
  const scopes = toScopes({ routes: null, addresses: ['10.0.0.0/8', 'fd00::/8'] })
  expect(refuseByScope(scopes, asked)).toBeNull()
  expect(refuseByScope(scopes, { ...asked, from: '192.168.0.1' })).toEqual({
    kind: 'address-not-permitted',
    from: '192.168.0.1',
  })
  expect(refuseByScope(scopes, { ...asked, from: '' })).toMatchObject({ kind: 'address-not-permitted' })
})

test('A18 an empty list, and one that cannot be read, let nobody in', () => {
  for (const addresses of [[], ['everywhere']])
    expect(refuseByScope(toScopes({ routes: null, addresses }), asked)).toMatchObject({ kind: 'address-not-permitted' })
})

test('A18 the address is judged before the route', () => {
  const scopes = toScopes({ routes: ['models'], addresses: ['10.0.0.6'] })
  expect(refuseByScope(scopes, asked)).toMatchObject({ kind: 'address-not-permitted' })
})
