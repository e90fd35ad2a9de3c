import fc from 'fast-check'
import { expect, test } from 'vitest'
import { openTrust } from './client-address.ts'

const trust = openTrust(['10.0.0.0/8', 'fd00::/8'])

test('D1 what a peer that is not trusted says changes nothing', () => {
  for (const said of ['1.2.3.4', '10.0.0.1', '127.0.0.1', '', 'nonsense']) {
    expect(trust.clientOf('203.0.113.9', said)).toBe('203.0.113.9')
    expect(openTrust([]).clientOf('10.0.0.1', said)).toBe('10.0.0.1')
  }
})

test('D2 the first address from the right that is not trusted is the client', () => {
  const of = (said: string): string => trust.clientOf('10.0.0.1', said)
  expect(of('203.0.113.9')).toBe('203.0.113.9')
  expect(of('127.0.0.1, 203.0.113.9')).toBe('203.0.113.9')
  expect(of('1.1.1.1,203.0.113.9 ,\t10.9.9.9,fd00::1')).toBe('203.0.113.9')
  expect(of('10.0.0.2, 10.0.0.3')).toBe('10.0.0.2')
  expect(trust.clientOf('::ffff:10.0.0.1', '2001:db8::1')).toBe('2001:db8::1')
  expect(trust.clientOf('10.0.0.1', undefined)).toBe('10.0.0.1')
})

test('D3 what is no address ends the reading: the last proxy that is known is the client', () => {
  const of = (said: string): string => trust.clientOf('10.0.0.1', said)
  for (const said of ['', 'unknown', '_hidden', '1.2.3', '1.2.3.4.5', '203.0.113.9/8', '01.2.3.4', '[::1', '1.2.3.4:x'])
    expect(of(said), said).toBe('10.0.0.1')
  expect(of('203.0.113.9, unknown, 10.0.0.7')).toBe('10.0.0.7')
  expect(of('203.0.113.9,')).toBe('10.0.0.1')
  expect(of(',10.0.0.7')).toBe('10.0.0.7')
})

test('D3 ports and brackets are taken off', () => {
  const of = (said: string): string => trust.clientOf('10.0.0.1', said)
  expect(of('203.0.113.9:4711')).toBe('203.0.113.9')
  expect(of('[2001:db8::1]')).toBe('2001:db8::1')
  expect(of('[2001:db8::1]:4711')).toBe('2001:db8::1')
  expect(of('203.0.113.9, [fd00::2]:1')).toBe('203.0.113.9')
})

test('D3 a chain of thousands is read as far as a chain can be', () => {
  expect(trust.clientOf('10.0.0.1', `203.0.113.9${',10.0.0.2'.repeat(2_000)}`)).toBe('10.0.0.2')
  expect(trust.clientOf('10.0.0.1', `203.0.113.9${',10.0.0.2'.repeat(31)}`)).toBe('203.0.113.9')
})

test('D2 whatever a client writes stands left of its own address, and is never believed', () => {
  fc.assert(
    fc.property(
      fc.string(),
      fc.array(fc.constantFrom('10.0.0.5', 'fd00::9', '10.255.0.1'), { maxLength: 5 }),
      (lie, proxies) => {
        const said = [lie, '203.0.113.9', ...proxies].join(', ')
        expect(trust.clientOf('10.0.0.1', said)).toBe('203.0.113.9')
      },
    ),
  )
})
