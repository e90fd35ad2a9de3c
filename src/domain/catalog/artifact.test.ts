import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ggufFiles, parseArtifactSource } from './artifact.ts'

const source = (text: string) => {
  const reading = parseArtifactSource(text)
  return reading.ok ? reading.source : reading.problem
}

test('R9 the three forms are read', () => {
  expect(source('hf:openai/gpt-oss-120b@b5c939de')).toEqual({
    kind: 'hf',
    repository: 'openai/gpt-oss-120b',
    commit: 'b5c939de',
    file: null,
  })
  expect(source('hf:a/b@0123456:x/y.gguf')).toEqual({
    kind: 'hf',
    repository: 'a/b',
    commit: '0123456',
    file: 'x/y.gguf',
  })
  expect(source('file:/srv/m.gguf')).toEqual({ kind: 'file', path: '/srv/m.gguf', sha256: null })
  expect(source(`file:w@v/m.gguf@sha256:${'a'.repeat(64)}`)).toEqual({
    kind: 'file',
    path: 'w@v/m.gguf',
    sha256: 'a'.repeat(64),
  })
  expect(source('builtin:smoke')).toEqual({ kind: 'builtin', name: 'smoke' })
})

test('R9 what is not pinned is refused, and the refusal says to pin it', () => {
  expect(source('hf:openai/gpt-oss-120b')).toMatch(/pin a commit/)
  expect(source('hf:openai/gpt-oss-120b:model.gguf')).toMatch(/pin a commit|repository/)
  expect(source('hf:openai/gpt-oss-120b@main')).toMatch(/pin a commit.*'main' is a branch/)
  expect(source('hf:openai/gpt-oss-120b@v1.0:f.gguf')).toMatch(/pin a commit/)
  expect(source('hf:openai/gpt-oss-120b@abc')).toMatch(/pin a commit/)
})

test('R9 anything else is refused with the forms that work', () => {
  expect(source('openai/gpt-oss-120b')).toMatch(/expected hf:/)
  expect(source('builtin:large')).toMatch(/builtin:smoke/)
  expect(source('file:')).toMatch(/a path/)
  expect(source('file:/x@sha256:12')).toMatch(/64/)
  expect(source('hf:a/b@0123456:')).toMatch(/a file/)
  for (const file of ['../x', '/x', 'x/', './x', 'x/./y', 'x\ny', 'x\0', 'x\\y'])
    expect(source(`hf:a/b@0123456:${file}`)).toMatch(/a file/)
  for (const repository of ['..', '../b', 'a/..', '.a/b', 'a/b.', 'a--b', 'a/b/c', '-a/b', 'a b/c'])
    expect(source(`hf:${repository}@0123456:x.gguf`)).toMatch(/a repository/)
  fc.assert(fc.property(fc.string({ unit: 'binary' }), text => void parseArtifactSource(text)))
  fc.assert(fc.property(fc.string({ unit: 'binary' }), text => void parseArtifactSource(`hf:${text}`)))
})

test('R11 the GGUF files of a source are the one it names, or all parts of a split one, the first in front', () => {
  const files = (file: string | null) => {
    const reading = ggufFiles({ kind: 'hf', repository: 'a/b', commit: '0123456', file })
    return reading.ok ? reading.files : reading.problem
  }
  expect(files('x/y.gguf')).toEqual(['x/y.gguf'])
  expect(files('Y.GGUF')).toEqual(['Y.GGUF'])
  expect(files('q/m-00001-of-00003.gguf')).toEqual([1, 2, 3].map(n => `q/m-0000${n}-of-00003.gguf`))
  expect(files('m-00001-of-00001.gguf')).toEqual(['m-00001-of-00001.gguf'])
  expect(files('m-00002-of-00003.gguf')).toMatch(/first part, m-00001-of-00003\.gguf/)
  expect(files('m-00001-of-00000.gguf')).toMatch(/0 parts/)
  expect(files('m-00001-of-99999.gguf')).toMatch(/at most 256/)
  expect(files('model.safetensors')).toMatch(/no GGUF file/)
  expect(files(null)).toMatch(/hf:a\/b@0123456:<file>\.gguf/)
})
