import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { FoundEngine } from '../../adapters/discovery/index.ts'
import { renderBanner, type BannerFacts } from './banner.ts'

const key = 'sk-hf-canary0123456789012345678901234567890'
const facts = (more: Partial<BannerFacts> = {}): BannerFacts => ({
  version: '1.2.3',
  url: 'http://127.0.0.1:8080',
  publicUrl: null,
  openTo: null,
  home: '/home/anna/.local/state/holdfast',
  admin: { key, source: 'made' },
  adminFile: '/home/anna/.local/state/holdfast/admin.key',
  models: [{ name: 'coder', version: 'dev-v1.0-coder-fp16-p0', status: 'loaded' }],
  found: [],
  notes: [],
  showKey: true,
  ...more,
})

test('it tells where, with which key, which models, and what to try', () => {
  const text = renderBanner(facts())
  for (const part of [
    'Holdfast 1.2.3',
    'http://127.0.0.1:8080/v1',
    key,
    'coder  (dev-v1.0-coder-fp16-p0, loaded)',
    'curl http://127.0.0.1:8080/v1/chat/completions',
  ]) {
    expect(text).toContain(part)
  }
})

test('the key is not shown when it comes from the environment, nor when it must not be', () => {
  const fromEnvironment = renderBanner(facts({ admin: { key, source: 'environment' } }))
  expect(fromEnvironment).not.toContain(key)
  expect(fromEnvironment).toContain('Bearer $HOLDFAST_ADMIN_KEY')
  const hidden = renderBanner(facts({ admin: { key, source: 'file' }, showKey: false }))
  expect(hidden).not.toContain(key)
  expect(hidden).toContain('in /home/anna/.local/state/holdfast/admin.key')
})

test('the command to try never holds the key itself, and reads its file in a shell whatever the file is called', () => {
  const root = mkdtempSync(join(tmpdir(), 'hf-banner-'))
  try {
    for (const name of [
      'plain',
      "a person's folder",
      'dollar $HOME `id` "quoted"',
      'semi;colon & more',
      'back\\slash',
    ]) {
      const folder = join(root, name)
      mkdirSync(folder)
      const adminFile = join(folder, 'admin.key')
      writeFileSync(adminFile, `${key}\n`)
      const line =
        renderBanner(facts({ adminFile }))
          .split('\n')
          .find(text => text.trim().startsWith('curl')) ?? ''
      expect(line).not.toContain(key)
      const words = execFileSync('sh', ['-c', `curl() { printf '%s\\n' "$@"; }; ${line}`], { encoding: 'utf8' }).split(
        '\n',
      )
      expect(words).toContain(`authorization: Bearer ${key}`)
      expect(JSON.parse(words.at(-2) ?? '')).toMatchObject({ model: 'coder' })
    }
  } finally {
    rmSync(root, { recursive: true })
  }
})

test('engines that run here are told with the command that serves them', () => {
  const found: FoundEngine[] = [
    {
      program: 'Ollama',
      kind: 'ollama',
      url: 'http://127.0.0.1:11434/v1',
      models: ['a', 'b', 'c', 'd'],
      notes: ['50 % of a is on the CPU.'],
    },
    { program: 'vLLM', kind: 'vllm', url: 'http://127.0.0.1:8000/v1', models: [], notes: [] },
  ]
  const text = renderBanner(facts({ found }))
  expect(text).toContain(
    'Found Ollama at http://127.0.0.1:11434/v1 (a, b, c …). To serve it:\n  npm start -- --engine http://127.0.0.1:11434/v1\n  50 % of a is on the CPU.',
  )
  expect(text).toContain('(no models)')
})

test('what the spec asks for in vain and who can reach the service are said', () => {
  const text = renderBanner(
    facts({ notes: ['hosts', 'tunnel'], openTo: 'everybody on the network', publicUrl: 'https://llm.lab.example' }),
  )
  expect(text).toContain('not acted on yet: hosts, tunnel')
  expect(text).toContain('everybody on the network')
  expect(text).toContain('https://llm.lab.example/v1')
})

test('without a model there is nothing to try; a loaded one is tried first', () => {
  expect(renderBanner(facts({ models: [] }))).not.toContain('Try it')
  const models = [
    { name: 'slow', version: 'v', status: 'loading' },
    { name: 'quick', version: 'v', status: 'loaded' },
  ]
  expect(renderBanner(facts({ models }))).toContain('"model":"quick"')
})
