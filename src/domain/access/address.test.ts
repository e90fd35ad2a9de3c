import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isWithin, parseNetwork } from './address.ts'

const within = (address: string, ...networks: string[]): boolean =>
  isWithin(
    address,
    networks.map(text => parseNetwork(text) ?? expect.fail(`${text} was not read`)),
  )

test.each<[address: string, network: string, inside: boolean]>([
  ['10.1.2.3', '10.0.0.0/8', true],
  ['11.0.0.0', '10.0.0.0/8', false],
  ['10.1.2.3', '10.1.2.3', true],
  ['10.1.2.4', '10.1.2.3', false],
  ['192.168.1.127', '192.168.1.0/25', true],
  ['192.168.1.128', '192.168.1.0/25', false],
  ['10.8.0.77', '10.8.0.5/24', true],
  ['255.255.255.255', '0.0.0.0/0', true],
  ['fd00::1', 'fd00::/8', true],
  ['fe00::1', 'fd00::/8', false],
  ['FD00:0:0:0:0:0:0:1', 'fd00::1', true],
  ['::1', '::1/128', true],
  ['fe80::1%eth0', 'fe80::/10', true],
  ['2001:db8::1', '::/0', true],
])('A18 %s in %s: %s', (address, network, inside) => {
  expect(within(address, network)).toBe(inside)
})

test('A18 an IPv4 address written as IPv6 is that IPv4 address, and no other IPv6 network has it', () => {
  for (const spelled of ['10.0.0.5', '::ffff:10.0.0.5', '::ffff:a00:5', '0:0:0:0:0:FFFF:0a00:0005']) {
    expect(within(spelled, '10.0.0.0/24')).toBe(true)
    expect(within(spelled, '::ffff:10.0.0.0/120')).toBe(true)
    expect(within(spelled, '::/0')).toBe(false)
    expect(within(spelled, '10.0.1.0/24')).toBe(false)
  }
  expect(within('::a00:5', '10.0.0.0/24')).toBe(false)
})

test('A18 what is no address is in no network, and nobody is in an empty list', () => {
  for (const odd of ['', 'localhost', '10.0.0', '10.0.0.256', '10.0.0.01', '::ffff:10.0.0', '%eth0', '1::2::3'])
    expect(within(odd, '0.0.0.0/0', '::/0')).toBe(false)
  expect(within('10.0.0.5')).toBe(false)
})

test.each([
  ...['', ' 10.0.0.1', '10.0.0.1 ', '10.0.0.0/', '10.0.0.0/33', '10.0.0.0/-1', '10.0.0.0/08', '10.0.0.0/8/8', '10'],
  ...['010.0.0.1', '0x0a.0.0.1', '1.2.3.4.5', '::1/129', ':::', '::1::', '1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9', 'g::'],
  ...['1:2:3:4:5:6:7::8', '10.0.0.1::', '::10.0.0.1:5', 'fe80::1%eth0', '12345::', 'example.com', '*', '١٠.٠.٠.١'],
])('A18 %j is no network', text => {
  expect(parseNetwork(text)).toBeNull()
})

const four = fc.ipV4()
const six = fc.ipV6()

test('A18 every address is read, and is in itself alone as a network of one', () => {
  fc.assert(
    fc.property(fc.oneof(four, six), fc.oneof(four, six), (one, other) => {
      expect(within(one, one)).toBe(true)
      const same = JSON.stringify(parts(one)) === JSON.stringify(parts(other))
      expect(within(other, one)).toBe(same)
    }),
  )
})

test('A18 a network of n bits has exactly the addresses with the same first n bits', () => {
  fc.assert(
    fc.property(fc.nat(0xffff_ffff), fc.nat(31), fc.integer({ min: 0, max: 32 }), (value, flipped, prefix) => {
      // Bit 0 is the first one.
      const changed = (value ^ (1 << (31 - flipped))) >>> 0
      expect(within(dotted(value), `${dotted(value)}/${prefix}`)).toBe(true)
      expect(within(dotted(changed), `${dotted(value)}/${prefix}`)).toBe(flipped >= prefix)
      expect(within(`::ffff:${dotted(changed)}`, `${dotted(value)}/${prefix}`)).toBe(flipped >= prefix)
    }),
  )
})

test('A18 any text is read or refused, and never throws', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9a-f:./]{0,40}$/)), text => void parseNetwork(text)),
  )
})

const dotted = (value: number): string => [24, 16, 8, 0].map(shift => (value >>> shift) & 255).join('.')
const parts = (text: string): unknown => {
  const network = parseNetwork(text)
  return network === null ? null : [network.family, String(network.value)]
}
