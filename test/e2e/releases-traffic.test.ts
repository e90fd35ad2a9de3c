/**
 * Releases under the traffic of an official client, with candidates that are worse in one way each: who fails, who is slow, whom
 * people or a judge like less. They run side by side, one model each, in one service.
 */
import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startFakeEngine, type FakeEngine } from '../../tools/fake-engine/index.ts'
import { openPage, withoutBrowser } from '../support/browser.ts'
import { filesIn, findIn } from '../support/canaries.ts'
import { pairIn, startScriptedModel, type ScriptedModel } from '../support/scripted-model.ts'
import { startService, type Service } from '../support/service.ts'
import { until } from '../support/settled.ts'

const asked = 'canary-of-what-people-ask-51c0'
const answeredText = 'canary-of-what-is-answered-77d2'
const reasonText = 'canary-of-what-a-judge-thinks-09ab'
const better = `Forty-two, and here is why: ${answeredText}.`
const worse = `It may be forty-two or not: ${answeredText}.`
const hookSecret = 'canary-secret-of-the-hook-2b7d'

/** Models by what their candidate is like. */
const policies = {
  fair: 'shadow: { share: 100%, judge: fair-judge, margin: 20% }\n    canary: { steps: [100%], minTime: 1s, minRequests: 1, bake: 1s, stick: request }',
  loser: 'shadow: { share: 100%, judge: fair-judge, margin: 20% }',
  biased: 'shadow: { share: 100%, judge: biased-judge, margin: 20% }',
  quiet: 'shadow: { share: 100% }',
  failing: 'canary: { steps: [50%, 100%], minTime: 600s, stick: request }\n    gates: { errors: { margin: 1pp } }',
  streams: 'canary: { steps: [50%, 100%], minTime: 600s, stick: request }',
  slow: 'canary: { steps: [50%, 100%], minTime: 600s, stick: request }\n    gates: { firstToken: { ratio: 1.5 } }',
  thumbs: 'canary: { steps: [50%, 100%], minTime: 600s, stick: request }\n    gates: { feedback: { ratio: 1.5 } }',
  asking: 'canary: { steps: [100%], minTime: 1s, minRequests: 1, bake: 1s }\n    hooks: [HOOKS]',
  plain: 'canary: { steps: [50%, 100%], minTime: 2s, bake: 2s }',
  patient: 'canary: { steps: [50%, 100%], minTime: 1s, maxTime: 2s, stick: request }',
  impatient: 'canary: { steps: [50%, 100%], minTime: 1s, maxTime: 2s, stick: request }\n    onTimeout: rollback',
}
type Model = keyof typeof policies
const models = Object.keys(policies) as Model[]
const liveOf = (model: Model): string => `dev-v1.0-${model}-fp16-p0`
const candidateOf = (model: Model): string => `dev-v1.1-${model}-fp16-p0`

function specFor(url: (model: Model, arm: 'live' | 'candidate') => string, judges: ScriptedModel[], hooks: string) {
  const version = (name: string, id: string, at: string): string =>
    `  - { name: ${name}, engine: { kind: openai }, replicas: [{ id: ${id}, url: "${at}/v1" }] }`
  const names = ['fair-judge', 'biased-judge']
  return `name: traffic
versions:
${models.flatMap(model => [version(liveOf(model), `${model}-old`, url(model, 'live')), version(candidateOf(model), `${model}-new`, url(model, 'candidate'))]).join('\n')}
${names.map((name, at) => version(`dev-v1.0-${name}-fp16-p0`, name, judges[at]?.url ?? '')).join('\n')}
models:
${models.map(model => `  - { name: ${model}, live: ${liveOf(model)}, release: ${model} }`).join('\n')}
${names.map(name => `  - { name: ${name}, live: dev-v1.0-${name}-fp16-p0 }`).join('\n')}
teams:
  - { name: private, shadow: false }
releases:
${models.map(model => `  ${model}:\n    ${policies[model].replace('HOOKS', hooks)}`).join('\n')}
`
}

type Status = {
  phase: string
  share: number
  verdict: string
  why: string
  gates: { name: string; verdict: string; eValue?: number; evidence: string }[]
}

const engines: FakeEngine[] = []
const scripted: ScriptedModel[] = []
let judges: ScriptedModel[] = []
let copied: FakeEngine
let hook: Hook
let service: Service
let client: OpenAI
let privateClient: OpenAI
const failures: string[] = []
const answers = new Map<string, number>()
const traffic = new Map<Model, Promise<void>>()
const stopped = new Set<Model>()

beforeAll(async () => {
  const engine = async (change: Parameters<typeof startFakeEngine>[0]): Promise<FakeEngine> => {
    const started = await startFakeEngine(change)
    engines.push(started)
    return started
  }
  const [fine, betterOne, worseOne, slow] = [
    await engine({ tokens: 4 }),
    await engine({ says: [{ when: '', text: better }] }),
    await engine({ says: [{ when: '', text: worse }] }),
    await engine({ tokens: 4, firstMs: 600 }),
  ]
  copied = await engine({ tokens: 4 })
  const failing = await startScriptedModel(({ n }) => (n % 10 < 3 ? { status: 500 } : { text: 'well' }))
  judges = [
    await startScriptedModel(given => ({ text: judgeBy(given, ({ a, b }) => worthOf(a) - worthOf(b)) })),
    await startScriptedModel(given => ({ text: judgeBy(given, () => 1) })),
  ]
  scripted.push(failing, ...judges)
  hook = await startHook()
  const candidates: Partial<Record<Model, string>> = {
    ...{ fair: betterOne.url, loser: worseOne.url, biased: worseOne.url },
    ...{ quiet: copied.url, failing: failing.url, slow: slow.url },
  }
  const lives: Partial<Record<Model, string>> = { fair: worseOne.url, loser: betterOne.url, biased: betterOne.url }
  const hooks = `{ kind: confirm, url: "${hook.url}/confirm" }, { url: "${hook.url}/event", secret: "\${env:HOOK_SECRET}" }`
  service = await startService({
    spec: specFor((model, arm) => (arm === 'live' ? lives : candidates)[model] ?? fine.url, judges, hooks),
    env: { HOOK_SECRET: hookSecret },
  })
  client = await clientOf('anna')
  privateClient = await clientOf('bert', 'private')
}, 120_000)
afterAll(async () => {
  for (const model of models) stopped.add(model)
  await Promise.all(traffic.values())
  await service?.stop()
  await hook?.close()
  for (const each of [...engines, ...scripted]) await each.close()
})

describe('a candidate under traffic', () => {
  test('begins beside what is served, after some traffic that tells how slow the old version is', async () => {
    for (let n = 0; n < 60; n++) await ask('slow', n)
    for (const model of models) await begin(model)
    const { stdout } = await service.cli('release', 'status')
    expect(models.filter(model => !stdout.includes(candidateOf(model)))).toEqual([])
    for (const model of ['loser', 'fair', 'biased', 'failing', 'asking'] as const) drive(model)
    drive('slow', 4)
    drive('thumbs', 2, async (id, version) => {
      if (version === candidateOf('thumbs')) await client.post('/feedback', { body: { request_id: id, score: -1 } })
    })
  })

  test('that loses every pair by a fair judge is rolled back, and the judge says why', async () => {
    const { phase, verdict, why, gates } = await end('loser')
    expect({ phase, verdict }).toEqual({ phase: 'rolled-back', verdict: 'rollback' })
    expect(why).toMatch(/^judge: .* 0 won by the candidate/)
    expect(gateOf(gates, 'judge')).toMatchObject({ verdict: 'rollback', eValue: expect.any(Number) })
    expect(answers.get(candidateOf('loser'))).toBeUndefined()
  })

  test('that wins by a fair judge goes on, and is promoted', async () => {
    const { phase, share, gates } = await end('fair')
    expect({ phase, share }).toEqual({ phase: 'live', share: 1 })
    expect(gateOf(gates, 'judge')).toMatchObject({ verdict: 'promote' })
  })

  test('whose judge only looks at the places neither passes nor fails: the judge can’t be believed, and it is held', async () => {
    const { phase, verdict, why } = await end('biased')
    expect({ phase, verdict }).toEqual({ phase: 'held', verdict: 'judge-inadmissible' })
    expect(why).toMatch(/turn when the answers change places|prefers slot A|controls missed/)
    expect((await service.cli('release', 'resume', 'biased', '--reason', 'please')).stderr).toMatch(/another judge/)
  })

  test('gets no copy of what executes tools, nor of a team that did not want it', async () => {
    await until('copies are made', async () => (await status('quiet')).phase === 'shadow')
    const before = copied.state().received
    const tools = [{ type: 'function' as const, function: { name: 'delete_all', parameters: {} } }]
    const content = `${asked} quiet`
    for (let n = 0; n < 10; n++) {
      await client.chat.completions.create({ model: 'quiet', messages: [{ role: 'user', content }], tools })
      await privateClient.chat.completions.create({ model: 'quiet', messages: [{ role: 'user', content }] })
    }
    // The next plain one is copied, so that those before would have been there by now.
    await ask('quiet', 0)
    await copied.until(({ received }) => received > before, 20_000)
    const bodies = copied.state().lastRequests.map(({ body }) => JSON.stringify(body))
    expect(bodies.filter(body => body.includes(asked) && body.includes('quiet 0'))).toHaveLength(1)
    expect(bodies.filter(body => body.includes('delete_all'))).toEqual([])
    expect(bodies.filter(body => body.includes(`${asked} quiet"`))).toEqual([])
  })

  test('that fails three requests in ten is rolled back, and clients never knew', async () => {
    const { phase, why, share } = await end('failing')
    expect({ phase, share }).toEqual({ phase: 'rolled-back', share: 0 })
    expect(why).toMatch(/^(errors|hard-stops): /)
    await onlyTheOldOne('failing')
  })

  test('that is taken back ends what it is saying; whoever asks from then on gets the old one', async () => {
    await until('the canary', async () => (await status('streams')).phase === 'canary', 30_000)
    const long = await longStreams('streams', 3)
    const answer = await service.cli('release', 'abort', 'streams', '--reason', 'enough seen', '--json')
    expect(JSON.parse(answer.stdout)).toMatchObject({ phase: 'aborted', share: 0 })
    drive('streams')
    await onlyTheOldOne('streams')
    // All the while, these went on.
    expect(await Promise.all(long)).toEqual(long.map(() => ({ pieces: 60, finish: 'stop' })))
  })

  test('that takes long for its first token is rolled back by what slow meant before', async () => {
    const { phase, why } = await end('slow')
    expect(phase).toBe('rolled-back')
    expect(why).toMatch(/^first-token: .*slow request/)
  })

  test('that people do not like is rolled back by their thumbs', async () => {
    const { phase, why } = await end('thumbs')
    expect(phase).toBe('rolled-back')
    expect(why).toMatch(/^feedback: .*a thumb down/)
  })

  test('waits for a hook that says no, and goes live when it says yes; every decision was told, signed', async () => {
    await until(
      'the hook was asked twice',
      () => hook.seen.filter(({ path }) => path === '/confirm').length >= 2,
      30_000,
    )
    expect(await status('asking')).toMatchObject({ phase: 'bake', share: 1 })
    hook.agrees = true
    expect(await end('asking')).toMatchObject({ phase: 'live', verdict: 'promote' })
    const told = (): Told[] => hook.seen.filter(({ path }) => path === '/event')
    await until('it was told', () => told().some(({ body }) => JSON.parse(body).is.phase === 'live'))
    for (const { body, signature } of told())
      expect(signature).toBe(`sha256=${createHmac('sha256', hookSecret).update(body).digest('hex')}`)
    const phases = told().map(({ body }) => JSON.parse(body).is.phase)
    expect(new Set(phases)).toEqual(new Set(['canary', 'bake', 'live']))
  })

  test('with a canary alone for a policy goes to all traffic; a program reads where it is', async () => {
    await until('the canary', async () => (await status('plain')).phase === 'canary', 30_000)
    const early = await status('plain')
    expect(early).toMatchObject({ phase: 'canary', share: 0.5, verdict: 'hold' })
    expect(gateOf(early.gates, 'requests')).toMatchObject({ verdict: 'hold', needed: expect.any(Number) })
    drive('plain')
    await end('plain')
    const said = JSON.parse((await service.cli('release', 'status', 'plain', '--json')).stdout)
    expect(said).toEqual(await status('plain'))
    expect(said).toMatchObject({
      ...{ model: 'plain', from: liveOf('plain'), to: candidateOf('plain'), policy: 'plain' },
      ...{ phase: 'live', share: 1, verdict: 'promote', why: expect.stringContaining('with all traffic') },
      ...{ steps: [0.5, 1], origin: 'command' },
    })
    for (const gate of said.gates)
      expect(gate).toMatchObject({ name: expect.any(String), verdict: 'promote', evidence: expect.any(String) })
    expect(said.gates.map(({ name }: { name: string }) => name)).toEqual(['hard-stops', 'sample-ratio', 'time'])
  })

  test('that nobody asks anything is never promoted: held, or back, when its time is over', async () => {
    expect(await end('patient')).toMatchObject({
      phase: 'held',
      verdict: 'hold',
      why: expect.stringMatching(/no verdict in 2 s.*more/),
    })
    expect(await end('impatient')).toMatchObject({ phase: 'rolled-back', verdict: 'rollback', share: 0 })
    expect(answers.get(candidateOf('patient'))).toBeUndefined()
  })

  test('leaves nothing of what was asked, answered or thought about it: on no disk, in no log, in no answer of the API', async () => {
    const spoken: Record<string, Buffer> = { 'what it said': Buffer.from(service.said.stdout + service.said.stderr) }
    for (const model of ['fair', 'loser', 'biased']) {
      for (const path of ['', '/decisions', '/report'])
        spoken[`${model}${path}`] = Buffer.from(await (await service.call(`/api/v1/releases/${model}${path}`)).text())
    }
    const files = Object.fromEntries(filesIn(service.home).map(file => [file, readFileSync(file)]))
    const canaries = {
      'a question': asked,
      'an answer': answeredText,
      'a judge’s reason': reasonText,
      'the hook’s secret': hookSecret,
    }
    expect(Object.keys(files).length).toBeGreaterThan(3)
    expect(findIn({ ...spoken, ...files }, canaries)).toEqual([])
  })

  test.skipIf(withoutBrowser)('leaves a report that a browser opens without asking anybody for anything', async () => {
    const control = await openPage('<img src="https://example.test/a.png"><script>console.error("seen")</script>')
    expect(control).toMatchObject({
      requests: ['CONNECT example.test:443'],
      console: [expect.stringContaining('seen')],
    })
    for (const model of ['loser', 'failing'] as const) {
      const report = await (await service.call(`/api/v1/releases/${model}/report`)).text()
      const { dom, requests, console: complaints, screenshot } = await openPage(report, { dark: model === 'loser' })
      expect({ requests, complaints }).toEqual({ requests: [], complaints: [] })
      expect(dom.match(/<svg/g)?.length).toBeGreaterThanOrEqual(3)
      expect(dom.match(/<path class="line/g)?.length).toBeGreaterThanOrEqual(3)
      for (const title of ['Gates', 'Share of the traffic', 'Evidence that the candidate is worse', 'Decisions'])
        expect(dom).toContain(`<h2>${title}</h2>`)
      // An empty page of this size has a few thousand bytes.
      expect(screenshot.length).toBeGreaterThan(50_000)
    }
  })

  test('never cost a client an answer', async () => {
    for (const model of models) stopped.add(model)
    await Promise.all(traffic.values())
    expect(failures).toEqual([])
  })
})

const worthOf = (answer: string): number => [worse, better].indexOf(answer)

function judgeBy(given: Parameters<typeof pairIn>[0], prefers: (pair: { a: string; b: string }) => number): string {
  const pair = pairIn(given)
  if (pair === null) return 'What?'
  const by = prefers(pair)
  const winner = by > 0 ? 'A' : 'B'
  return JSON.stringify({ reason: `${reasonText}: ${pair.a}`, winner: by === 0 ? 'tie' : winner, critical: false })
}

const gateOf = (gates: Status['gates'], name: string) => gates.find(gate => gate.name === name)

async function clientOf(alias: string, team?: string): Promise<OpenAI> {
  const made = await service.call('/api/v1/keys', { alias, ...(team === undefined ? {} : { team }) })
  const { key } = (await made.json()) as { key: string }
  return new OpenAI({ baseURL: `${service.url}/v1`, apiKey: key, maxRetries: 0 })
}

async function begin(model: Model): Promise<void> {
  const begun = await service.call('/api/v1/releases', { model, version: candidateOf(model), reason: 'the test' })
  if (begun.status !== 201) throw new Error(await begun.text())
}

async function status(model: Model): Promise<Status> {
  return (await (await service.call(`/api/v1/releases/${model}`)).json()) as Status
}

async function end(model: Model): Promise<Status> {
  let last = await status(model)
  await until(
    `the end of ${model}`,
    async () => {
      last = await status(model)
      return ['live', 'held', 'rolled-back', 'aborted'].includes(last.phase)
    },
    50_000,
  ).catch((error: unknown) => {
    throw new Error(`${String(error)}: ${JSON.stringify(last)}`)
  })
  stopped.add(model)
  return last
}

type Seen = (id: string, version: string) => Promise<void>

/** People who ask one thing after another, until the release ends. */
function drive(model: Model, people = 2, seen: Seen = async () => undefined): void {
  const person = async (first: number): Promise<void> => {
    for (let n = first; !stopped.has(model); n += people)
      await ask(model, n, seen).catch(error => void failures.push(`${model}: ${String(error)}`))
  }
  stopped.delete(model)
  traffic.set(
    model,
    Promise.all(Array.from({ length: people }, (_, n) => person(n))).then(() => undefined),
  )
}

async function ask(model: Model, n: number, seen: Seen = async () => undefined): Promise<void> {
  const messages = [{ role: 'user' as const, content: `${asked} ${model} ${n}` }]
  const isStream = n % 2 === 1
  const call = isStream
    ? client.chat.completions.create({ model, messages, stream: true })
    : client.chat.completions.create({ model, messages })
  const { data, response } = await call.withResponse()
  let finish: string | null = null
  if ('choices' in data) finish = data.choices[0]?.finish_reason ?? null
  else for await (const chunk of data) finish = chunk.choices[0]?.finish_reason ?? finish
  if (finish === null) failures.push(`${model}: an answer without an end`)
  const version = response.headers.get('x-holdfast-version') ?? ''
  answers.set(version, (answers.get(version) ?? 0) + 1)
  await seen(response.headers.get('x-request-id') ?? '', version)
}

/** Answers of the candidate that take a while, begun and not read. */
async function longStreams(model: Model, count: number) {
  const found: Promise<{ pieces: number; finish: string | null }>[] = []
  for (let n = 0; found.length < count; n++) {
    const content = `long ${n} [[fake:tokens=60,gapMs=50]]`
    const leave = new AbortController()
    const { data, response } = await client.chat.completions
      .create({ model, messages: [{ role: 'user', content }], stream: true }, { signal: leave.signal })
      .withResponse()
    if (response.headers.get('x-holdfast-version') === candidateOf(model)) found.push(readAll(data))
    else leave.abort()
  }
  return found
}

async function readAll(stream: AsyncIterable<OpenAI.ChatCompletionChunk>) {
  let pieces = 0
  let finish: string | null = null
  for await (const { choices } of stream) {
    if ((choices[0]?.delta.content ?? '') !== '') pieces++
    finish = choices[0]?.finish_reason ?? finish
  }
  return { pieces, finish }
}

/** Requests that were under way when it changed may still be the candidate's; after a moment none is. */
async function onlyTheOldOne(model: Model): Promise<void> {
  stopped.add(model)
  await traffic.get(model)
  const [before, by] = [answers.get(candidateOf(model)) ?? 0, answers.get(liveOf(model)) ?? 0]
  for (let n = 0; n < 20; n++) await ask(model, n)
  expect(answers.get(candidateOf(model)) ?? 0).toBe(before)
  expect(answers.get(liveOf(model))).toBe(by + 20)
}

type Told = { path: string; body: string; signature: string | null }
type Hook = { url: string; seen: Told[]; agrees: boolean; close: () => Promise<void> }

/** Somebody who is told, and asked. */
async function startHook(): Promise<Hook> {
  const server: Server = createServer((request, response) => {
    void text(request).then(body => {
      const signature = request.headers['x-holdfast-signature']
      hooked.seen.push({ path: request.url ?? '', body, signature: typeof signature === 'string' ? signature : null })
      response.writeHead(request.url === '/confirm' && !hooked.agrees ? 403 : 200).end()
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  // Not null, and not the name of a pipe: it listens on a port.
  const { port } = server.address() as AddressInfo
  const hooked: Hook = {
    url: `http://127.0.0.1:${port}`,
    seen: [],
    agrees: false,
    async close() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
  return hooked
}
