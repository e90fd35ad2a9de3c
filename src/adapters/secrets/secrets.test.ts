import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { resolveSecret } from './index.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'hf-secret-'))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

test('a variable and a file give their value, the file without the line break at its end', () => {
  const file = join(folder, 'key')
  writeFileSync(file, ' sk-value \n')
  expect(resolveSecret('${env:KEY}', { KEY: ' kept as it is ' })).toBe(' kept as it is ')
  expect(resolveSecret(`\${file:${file}}`, {})).toBe('sk-value')
})

test('what is missing or empty names the reference', () => {
  const empty = join(folder, 'empty')
  writeFileSync(empty, '\n')
  expect(() => resolveSecret('${env:KEY}', {})).toThrow('${env:KEY}: the environment variable KEY is not set')
  expect(() => resolveSecret('${env:KEY}', { KEY: '' })).toThrow('${env:KEY}')
  expect(() => resolveSecret('${file:/nowhere/at/all}', {})).toThrow(/^\$\{file:\/nowhere\/at\/all\}: .*ENOENT/)
  expect(() => resolveSecret(`\${file:${empty}}`, {})).toThrow(/empty/)
})

test('kinds that are not read yet say so', () => {
  for (const kind of ['vault', 'sops'])
    expect(() => resolveSecret(`\${${kind}:a#b}`, {})).toThrow(`secrets from ${kind} are not read yet`)
})

test('a secret where a reference belongs is not repeated', () => {
  for (const text of ['sk-secret', '${env:}', '${KEY}', 'x${env:KEY}', '']) {
    expect(() => resolveSecret(text, { KEY: 'v' })).toThrow(/^this is not a reference to a secret: write/)
  }
})
