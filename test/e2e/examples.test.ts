/** Every example can be used as it stands. */
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { startFakeEngine } from '../../tools/fake-engine/index.ts'
import { repository, runCli, startService, type Service } from '../support/service.ts'

const examples = globSync('examples/**/holdfast.yaml', { cwd: repository })
const Chat = z.object({
  choices: z.tuple([z.object({ message: z.object({ content: z.string() }) })]),
  usage: z.object({ prompt_tokens: z.number() }),
})
const SeenBody = z.looseObject({ model: z.string() })

const running: (() => Promise<unknown>)[] = []
afterAll(async () => {
  for (const stop of running.toReversed()) await stop()
})

test.each(examples)('%s passes holdfast check', async path => {
  expect(await runCli(['check', join(repository, path)], process.env)).toMatchObject({ exitCode: 0 })
})

test('there are examples', () => {
  expect(examples.length).toBeGreaterThanOrEqual(4)
})

describe('two-replicas', () => {
  test('serves from the first, by the name that the engine knows, and from the reserve when the first fails', async () => {
    const engines = [await startFakeEngine({ name: 'llama3' }), await startFakeEngine({ name: 'llama3' })] as const
    running.push(...engines.map(engine => () => engine.close()))
    const [first, reserve] = engines
    // Its ports may be taken here.
    const spec = textOf('two-replicas').replace(':9001/', `:${first.port}/`).replace(':9002/', `:${reserve.port}/`)
    const service = await start(spec)
    const ask = { model: 'chat', messages: [{ role: 'user', content: 'Who answers?' }] }

    expect((await service.call('/v1/chat/completions', ask)).status).toBe(200)
    expect(first.state().lastRequests.map(({ body }) => SeenBody.parse(body).model)).toEqual(['llama3'])
    first.behave({ status: 500 })
    const answer = await service.call('/v1/chat/completions', ask)
    expect(answer.status).toBe(200)
    expect(answer.headers.get('x-holdfast-version')).toBe('production-v1.0-llama3-8b-awq-p0')
    expect(reserve.state().finished).toBe(1)
  })
})

describe('embedded-with-prompt', () => {
  test('its system prompt reaches the engine, in front of what the client sends', async () => {
    const prompt = 'You are a storyteller. Answer in short, plain sentences.'
    const spec = textOf('embedded-with-prompt')
    expect(spec).toContain(prompt)
    const [withPrompt, plain] = [await start(spec), await start()]
    const user = { role: 'user', content: 'Tell me a story about a cat.' }
    const system = { role: 'system', content: prompt }

    const got = await chat(withPrompt, 'storyteller', [user])
    // What the same engine says when the client sends that prompt itself.
    expect(got).toEqual(await chat(plain, 'smoke', [system, user]))
    expect(got.usage.prompt_tokens).toBeGreaterThan((await chat(plain, 'smoke', [user])).usage.prompt_tokens + 5)
  })
})

function textOf(example: string): string {
  return readFileSync(join(repository, 'examples', example, 'holdfast.yaml'), 'utf8')
}

async function start(spec?: string): Promise<Service> {
  const service = await startService(spec === undefined ? {} : { spec })
  running.push(() => service.stop())
  return service
}

async function chat(service: Service, model: string, messages: object[]): Promise<z.output<typeof Chat>> {
  const answer = await service.call('/v1/chat/completions', { model, messages, temperature: 0, max_tokens: 40 })
  return Chat.parse(await answer.json())
}
