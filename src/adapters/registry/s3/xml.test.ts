import fc from 'fast-check'
import { expect, test } from 'vitest'
import { childrenOf, parseXml, textIn, type Element } from './xml.ts'

test('what S3 answers with is read: namespaces, attributes and empty elements are passed over', () => {
  const list = parseXml(`<?xml version="1.0" encoding="UTF-8"?>
<s3:List xmlns:s3="http://s3.amazonaws.com/doc/2006-03-01/" at='now'>
  <Contents><Key>a &amp; b&#x2F;&#99;</Key><Size>3</Size><Owner/></Contents><Contents><Key/></Contents>
</s3:List>
`)
  if (list === null) throw new Error('not read')
  const [first, second] = childrenOf(list, 'Contents')
  expect(list.name).toBe('List')
  expect(first && textIn(first, 'Key')).toBe('a & b/c')
  expect(first && textIn(first, 'Owner')).toBe('')
  expect(first && textIn(first, 'Gone')).toBe(null)
  expect(second && textIn(second, 'Key')).toBe('')
})

test.each([
  ['nothing', ''],
  ['a page of HTML', '<!DOCTYPE html><html><body>Bad gateway<br></body></html>'],
  ['HTML without a type', '<html><body><p>one<p>two</body></html>'],
  ['JSON', '{"error": "not XML"}'],
  ['entities of its own', '<!DOCTYPE a [<!ENTITY b "bbb"><!ENTITY c "&b;&b;">]><a>&c;</a>'],
  ['an unknown entity', '<a>&nbsp;</a>'],
  ['a bare ampersand', '<a>b & c</a>'],
  ['a character that there is not', '<a>&#x110000;</a>'],
  ['another end', '<a><b></a></b>'],
  ['no end', '<a><b></b>'],
  ['two roots', '<a/><b/>'],
  ['text behind the root', '<a/>b'],
  ['a comment', '<a><!-- b --></a>'],
  ['a section of raw text', '<a><![CDATA[b]]></a>'],
  ['an instruction', '<a><?b c?></a>'],
  ['more depth than is read', '<a>'.repeat(17) + '</a>'.repeat(17)],
  ['more elements than are read', `<a>${'<b/>'.repeat(50_000)}</a>`],
])('R6 %s is not such a document', (_, document) => {
  expect(parseXml(document)).toBe(null)
})

test('a name of an entity is not looked for among what all objects have', () => {
  expect(parseXml('<a>&toString;</a>')).toBe(null)
})

test('what is written is what is read', () => {
  const name = fc.stringMatching(/^[A-Za-z][\w.-]{0,8}$/)
  const leaf = fc.record({ name, text: fc.string({ unit: 'grapheme' }), children: fc.constant<Element[]>([]) })
  const around = (inner: fc.Arbitrary<Element>): fc.Arbitrary<Element> =>
    fc.record({ name, text: fc.string({ unit: 'grapheme' }), children: fc.array(inner, { maxLength: 3 }) })
  const element = around(around(around(leaf)))
  fc.assert(
    fc.property(element, root => {
      expect(parseXml(print(root))).toEqual(root)
    }),
  )
})

test('R6 whatever comes is read in time that its length bounds, and never throws', () => {
  const bits = ['<', '>', '/', '&', ';', '=', '"', "'", ' ', 'a', ':', '&amp;', '<a>', '</a>', '<a b="c', '\n'] as const
  const document = fc.array(fc.constantFrom(...bits), { maxLength: 400 }).map(parts => parts.join(''))
  fc.assert(fc.property(document, text => void parseXml(text)))
  for (const text of [`<a${' '.repeat(300_000)}`, `<a${' b="c"'.repeat(60_000)}`, `<${'a'.repeat(300_000)}`])
    expect(parseXml(text.repeat(3))).toBe(null)
})

const print = ({ name, text, children }: Element): string =>
  `<${name}>${text.replace(/[&<]/g, character => `&#${character.charCodeAt(0)};`)}${children.map(print).join('')}</${name}>`
