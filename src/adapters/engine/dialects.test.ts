import { expect, test } from 'vitest'
import { versionName } from '../../domain/units.ts'
import { dialectOf } from './index.ts'

test('every kind of engine has a dialect of its own, and each takes chats below its base', () => {
  for (const kind of [
    'vllm',
    'llama-cpp',
    'ollama',
    'sglang',
    'tensorrt-llm',
    'triton',
    'tgi',
    'openai',
    'embedded',
  ] as const) {
    const dialect = dialectOf(kind)
    expect(dialect.kind).toBe(kind)
    const body = { model: 'x', messages: [{ role: 'user', content: 'Hi' }] }
    expect(dialect.toRequest('chat/completions', body, versionName('v'))).toMatchObject({
      path: '/chat/completions',
      body,
    })
  }
})
