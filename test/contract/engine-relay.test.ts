import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  changedFields,
  parseAsk,
  parsePlainAsk,
  plainModel,
  toEngineBody,
  toEngineChanges,
  unknownCost,
  type EngineKind,
  type EnginePath,
  type ModelRoute,
  type Prompt,
  type VersionRoute,
} from '../../src/domain/serving/index.ts'
import { millis, modelName, versionName } from '../../src/domain/units.ts'
import { plainBody } from '../../src/services/serve/plain-body.ts'
import { scanBody } from '../../src/services/serve/scan-body.ts'
import { dialectOf } from '../../src/adapters/engine/index.ts'

const kinds: readonly EngineKind[] = ['openai', 'vllm', 'llama-cpp', 'sglang', 'embedded']

const name = versionName('dev-v1.0-fake-fp16-p1')
const model: ModelRoute = {
  ...plainModel,
  name: modelName('coder'),
  live: name,
  queue: { waiting: 1, deadline: millis(1) },
}

const versions = fc.record({
  servedName: fc.constantFrom(null, 'served', 'gedient – ünïcode'),
  sampling: fc.constantFrom<Record<string, unknown>>(
    {},
    { temperature: 0.3 },
    { max_tokens: 7, stop: ['é'] },
    { max_completion_tokens: 9 },
    { suffix: 'x' },
  ),
  prompt: fc.record<Prompt>({
    id: fc.constant('p1'),
    text: fc.constantFrom('', 'Be brief. „So“'),
    mode: fc.constantFrom('prepend', 'default', 'replace'),
  }),
})

function toVersion(engine: EngineKind, parts: Pick<VersionRoute, 'servedName' | 'sampling' | 'prompt'>): VersionRoute {
  return { name, engine, task: 'chat', replicas: [], cost: unknownCost, ...parts }
}

const message = fc.record(
  {
    role: fc.constantFrom('user', 'user', 'assistant', 'system', 'developer'),
    content: fc.oneof(fc.string({ unit: 'grapheme' }), fc.constant(null), fc.constant([{ type: 'text', text: 'x' }])),
    reasoning_content: fc.constant('thought'),
  },
  { requiredKeys: ['role'] },
)
const tools = [{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }]
const bodies = fc.record(
  {
    model: fc.constant('coder'),
    messages: fc.array(message, { minLength: 1, maxLength: 3 }),
    prompt: fc.string({ minLength: 1 }),
    input: fc.array(fc.string(), { minLength: 1, maxLength: 2 }),
    stream: fc.constantFrom(true, false, null),
    stream_options: fc.constantFrom(null, { include_usage: false, x: 1 }),
    temperature: fc.constantFrom(null, 0, 1),
    max_tokens: fc.constantFrom(null, 5),
    max_completion_tokens: fc.constantFrom(null, 6),
    continue_final_message: fc.boolean(),
    tools: fc.constantFrom<unknown>(tools, [], null),
    tool_choice: fc.constantFrom<unknown>('auto', 'none', { type: 'function', function: { name: 'f' } }),
    suffix: fc.constantFrom(null, '', 'after'),
    echo: fc.boolean(),
    dimensions: fc.constantFrom(null, 8),
    encoding_format: fc.constantFrom('base64', 'float'),
    metadata: fc.jsonValue(),
  },
  { requiredKeys: ['model', 'messages', 'prompt', 'input'] },
)
const paths = fc.constantFrom<EnginePath>('chat/completions', 'completions', 'embeddings')

test.each(kinds)('%s gets the same, whether a body is relayed as it came or parsed and rendered', kind => {
  const dialect = dialectOf(kind)
  let count = 0
  fc.assert(
    fc.property(paths, bodies, versions, (path, body, parts) => {
      const version = toVersion(kind, parts)
      const scanned = scanBody(Buffer.from(JSON.stringify(body)))
      const plain = scanned === null ? null : plainBody(scanned)
      const ask = plain === null ? null : parsePlainAsk(path, plain, () => ({}))
      const changes = plain === null || ask === null ? null : toEngineChanges(ask, plain, { model, version })
      const relay =
        plain === null || changes === null ? null : (dialect.relay?.(path, changedFields(plain, changes)) ?? null)
      if (plain === null || changes === null || relay === null) return
      count++
      const relayed = plain.with({ ...changes, fields: { ...changes.fields, ...relay.fields } })
      const parsed = parseAsk(path, body)
      if (!parsed.ok) throw new Error('what was relayed would have been refused')
      const whole = dialect.toRequest(path, toEngineBody(parsed.ask, model, version), name)
      expect(relay.path).toBe(whole.path)
      expect(relay.repair?.marks).toEqual(whole.repair?.marks)
      // As it would have gone out.
      expect(JSON.parse(typeof relayed === 'string' ? relayed : new TextDecoder().decode(relayed))).toEqual(
        JSON.parse(JSON.stringify(whole.body)),
      )
    }),
    { numRuns: 500 },
  )
  expect(count).toBeGreaterThan(10)
})
