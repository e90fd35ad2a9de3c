import fc from 'fast-check'
import { expect, test } from 'vitest'
import { inlinePrompts, notActedOn, parseSpec, printPath, withDefaults } from './index.ts'
import type { Spec } from './index.ts'

const good = (document: unknown): Spec => {
  const reading = parseSpec(document)
  if (!reading.ok) throw new Error(JSON.stringify(reading.problems, null, 1))
  return reading.spec
}

/** Problems as `path: message (suggestion)`. */
const problems = (document: unknown): string[] => {
  const reading = parseSpec(document)
  return reading.ok
    ? []
    : reading.problems.map(
        ({ path, message, suggestion }) =>
          `${printPath(path)}: ${message}${suggestion === undefined ? '' : ` (${suggestion})`}`,
      )
}

const remote = (name: string, more: object = {}) => ({
  name,
  engine: { kind: 'openai' },
  replicas: [{ id: `at-${name}`, url: 'http://127.0.0.1:9001/v1' }],
  ...more,
})
const served = (more: object = {}) => ({
  versions: [remote('dev-v1-a-awq-p0')],
  models: [{ name: 'chat', live: 'dev-v1-a-awq-p0' }],
  ...more,
})

test('R1 an empty document, and sections with nothing in them, are a working spec', () => {
  const spec = good({})
  expect(spec.gateway.listen).toEqual({ host: '127.0.0.1', port: 8080 })
  expect(spec.gateway.limits).toEqual({
    body: 20 * 1024 ** 2,
    inFlight: 2000,
    firstByte: 120_000,
    idle: 60_000,
    request: 900_000,
  })
  expect(spec.gateway.maxStale).toBe(86_400_000)
  expect(spec.capture.whenUnwritable).toBe('serve')
  expect(good(null)).toEqual(spec)
  expect(good({ hosts: null, teams: null, gateway: null, prompts: null })).toEqual(spec)
})

test('R16 a registry has what its kind needs, and nothing of another kind', () => {
  const of = (...registry: object[]) =>
    problems({ registry: registry.map((more, at) => ({ name: `r${at}`, ...more })) })
  expect(
    of(
      { kind: 'directory', path: '/srv/models' },
      { kind: 's3', url: 's3://models/registry', region: 'eu-central-1', token: '${env:S3_TOKEN}' },
      { kind: 's3', url: 'http://127.0.0.1:9000/models' },
      { kind: 'nexus', url: 'https://nexus.lan/repository/models', token: '${env:NEXUS_TOKEN}' },
      { kind: 'hugging-face' },
    ),
  ).toEqual([])
  expect(
    of(
      { kind: 's3' },
      { kind: 'nexus', url: 's3://models', region: 'eu-central-1' },
      { kind: 's3', url: 'https://id:secret@s3.lan/models', region: 'Frankfurt am Main' },
    ),
  ).toEqual([
    'registry[2].url: expected an address such as http://10.8.0.2:8000/v1 (without a user or password in it)',
    'registry[2].region: expected a region such as eu-central-1',
    'registry[0]: a registry of kind s3 needs url',
    'registry[1].region: does not belong to a registry of kind nexus',
    'registry[1].url: does not belong to a registry of kind nexus',
  ])
})

test('R2 problems of form, references and rules are told together', () => {
  expect(
    problems(
      served({
        gatway: {},
        gateway: { limits: { body: 20 } },
        teams: [{ name: 'dev', models: ['chatt'] }],
        prompts: { p1: {} },
      }),
    ),
  ).toEqual([
    'gateway.limits.body: expected a size with its unit, such as 20MiB or 96GiB',
    'gatway: unknown key "gatway" (gateway)',
    'teams[0].models[0]: no model is named "chatt" (chat)',
    'prompts.p1: needs text, or file with the path of one',
  ])
})

test('R2 kinds, bounds and choices are said in plain words', () => {
  expect(problems(served({ name: 7 }))).toEqual([
    'name: expected a name of letters, digits, dots, dashes and underscores, at most 63, starting with a letter or digit',
  ])
  expect(problems({ hosts: {} })).toEqual(['hosts: expected a list, got a map'])
  expect(problems({ gateway: { listen: { port: 70_000 } } })).toEqual(['gateway.listen.port: must be at most 65535'])
  expect(problems({ gateway: { limits: { inFlight: 1.5 } } })).toEqual([
    'gateway.limits.inFlight: expected a whole number, got a fraction',
  ])
  expect(problems({ gateway: { listen: null } })).toEqual([
    'gateway.listen: is empty: give it a value, or leave the key out',
  ])
  expect(problems({ teams: [{}] })).toEqual(['teams[0].name: is missing'])
  expect(problems({ teams: [{ name: 'a', priority: 'hihg' }] })).toEqual([
    'teams[0].priority: expected one of low, normal, high (high)',
  ])
  expect(problems({ apiVersion: 'holdfast/v2' })).toEqual(['apiVersion: must be holdfast/v1'])
  expect(problems([])).toEqual([': expected a map, got a list'])
})

test('R2 any JSON at all, in any section, gives a spec or problems and never a throw', () => {
  const sections = Object.keys(good({}))
  const key = fc.oneof(
    fc.constantFrom(
      ...sections,
      'name',
      'live',
      'id',
      'engine',
      'kind',
      'replicas',
      'artifact',
      'from',
      'flags',
      'text',
      '__proto__',
      'constructor',
    ),
    fc.string(),
  )
  const value = fc.letrec(tie => ({
    any: fc.oneof(
      { depthSize: 'medium', withCrossShrink: true },
      fc.constantFrom<unknown>(
        null,
        true,
        0,
        -1,
        1.5,
        '',
        'p1',
        'dev-v1-a-awq-p0',
        '${env:A}',
        'embedded',
        'hf:a/b@1234567',
        '5m',
        'NaN',
      ),
      fc.string(),
      fc.double(),
      fc.array(tie('any'), { maxLength: 3 }),
      fc.dictionary(key, tie('any'), { maxKeys: 4 }),
    ),
  })).any
  fc.assert(
    fc.property(fc.oneof(value, fc.dictionary(fc.constantFrom(...sections, 'tunnel', 'rag'), value)), document => {
      const reading = parseSpec(document)
      if (!reading.ok)
        for (const { message } of reading.problems) expect(message).not.toMatch(/^Invalid|undefined|\[object/)
      notActedOn(document)
    }),
    { numRuns: 400 },
  )
})

test('R3 each unknown key is a problem of its own, with the nearest key of that place', () => {
  expect(problems({ gateway: { listen: { hots: 'a', portt: 1 } } })).toEqual([
    'gateway.listen.hots: unknown key "hots" (host)',
    'gateway.listen.portt: unknown key "portt" (port)',
  ])
  expect(problems(JSON.parse('{"__proto__": 1, "constructor": {}}'))).toHaveLength(2)
  expect(problems({ capture: { zzzzzz: 1 } })).toEqual([
    'capture.zzzzzz: unknown key "zzzzzz"; known here: prompts, retention, redact, whenUnwritable',
  ])
})

test('R4 units are parsed to plain numbers', () => {
  const [host] = good({
    hosts: [
      {
        name: 'h',
        memory: '1.5GiB',
        memoryBandwidth: '307GB/s',
        power: { supply: '1.6kW' },
        gpus: [{ id: 'a', memory: '16GB' }],
      },
    ],
  }).hosts
  expect(host).toMatchObject({
    memory: 1.5 * 1024 ** 3,
    memoryBandwidth: 307e9,
    power: { supply: 1600 },
    gpus: [{ memory: 16e9 }],
  })
  const { limits } = good({
    gateway: { limits: { body: '1kB', firstByte: '500ms', idle: '1.5s', request: '2h' } },
  }).gateway
  expect(limits).toMatchObject({ body: 1000, firstByte: 500, idle: 1500, request: 7_200_000 })
  expect(good({ backup: { keep: '14d' } }).backup?.keep).toBe(14 * 86_400_000)
  const { canary, gates } =
    good({ releases: { a: { canary: { steps: ['1%', 0.25, '100%'] }, gates: { errors: { margin: '0.5pp' } } } } })
      .releases['a'] ?? {}
  expect([canary?.steps, gates?.errors?.margin]).toEqual([[0.01, 0.25, 1], 0.005])
})

test('R4 measures without a unit, of another kind, or out of bounds say what is expected', () => {
  const limit = (limits: object) => problems({ gateway: { limits } })
  expect(limit({ idle: '60' })[0]).toMatch(/duration with its unit/)
  expect(limit({ idle: '5 minutes' })[0]).toMatch(/duration with its unit/)
  expect(limit({ idle: '0s' })[0]).toMatch(/more than 0/)
  expect(limit({ request: '400d' })[0]).toMatch(/at most 7d/)
  expect(limit({ body: '1GiB' })[0]).toMatch(/at most 256MiB/)
  expect(limit({ body: '20mb' })[0]).toMatch(/such as 20MiB/)
  expect(problems({ flags: [{ name: 'f', share: 5 }] })[0]).toMatch(/write 5%/)
  expect(problems({ flags: [{ name: 'f', share: '0.5pp' }] })[0]).toMatch(/expected a share/)
  expect(problems({ releases: { a: { canary: { steps: ['5%', '5%'] } } } })[0]).toMatch(/each step must be more/)
})

test('R5 a plain secret is refused without being repeated, and references of four kinds are taken', () => {
  const secret = 'sk-very-secret-1234'
  const at = (token: string) => problems({ alerts: { telegram: { token, chat: '1' } } })
  expect(at(secret)).toHaveLength(1)
  expect(at(secret)[0]).toMatch(/^alerts.telegram.token: is a secret.*\$\{env:NAME\}/)
  expect(
    JSON.stringify(
      parseSpec({ alerts: { telegram: { token: secret, chat: '1' } }, store: `postgres://u:${secret}@h/d` }),
    ),
  ).not.toContain(secret)
  for (const reference of [
    '${env:A_1}',
    '${file:/run/secrets/x}',
    '${vault:secret/llm#slack}',
    '${sops:secrets.enc.yaml#key}',
  ])
    expect(at(reference)).toEqual([])
  for (const wrong of ['${env:}', '${env:A}x', '${file:relative}', '${vault:no-key}', '$A'])
    expect(at(wrong)).toHaveLength(1)
  expect(problems({ gitops: { repository: 'https://u:p@git.example/x' } })[0]).toMatch(/password/)
})

test('R6 each name that is used must exist', () => {
  expect(
    problems({
      hosts: [{ name: 'gpu1', gpus: [{ id: 'rtx' }] }],
      versions: [
        {
          name: 'dev-v1-a-awq-p0',
          artifact: { from: 'hf:a/b@1234567', registry: 'nexus' },
          engine: { kind: 'vllm' },
          replicas: [
            { id: 'a', host: 'gpu2', port: 1 },
            { id: 'b', host: 'gpu1', port: 1, gpus: ['rtxx'] },
          ],
        },
      ],
      models: [{ name: 'chat', live: 'dev-v1-a-awq-p9', release: 'careful', fallbacks: ['other', 'chat'] }],
      releases: { carefull: { shadow: { judge: 'jugde' } } },
      flags: [{ name: 'f', teams: ['dev'] }],
      teams: [{ name: 'devs', models: ['chat', 'nope'] }],
      rag: { embed: 'chatt', collections: [{ name: 'c', teams: ['dev'] }] },
    }),
  ).toEqual([
    'versions[0].artifact.registry: no registry is named "nexus" (there is none)',
    'versions[0].replicas[0].host: no host is named "gpu2" (gpu1)',
    'versions[0].replicas[1].gpus[0]: no GPU of gpu1 is named "rtxx" (rtx)',
    'models[0].live: no version is named "dev-v1-a-awq-p9" (dev-v1-a-awq-p0)',
    'models[0].release: no release policy is named "careful" (carefull)',
    'models[0].fallbacks[0]: no model is named "other"',
    'models[0].fallbacks[1]: a model cannot be its own fallback',
    'releases.carefull.shadow.judge: no model is named "jugde"',
    'flags[0].teams[0]: no team is named "dev" (devs)',
    'teams[0].models[1]: no model is named "nope"',
    'rag.embed: no model is named "chatt" (chat)',
    'rag.collections[0].teams[0]: no team is named "dev" (devs)',
  ])
})

test('R6 a spec without models has the default model, and teams may be given it', () => {
  expect(problems({ teams: [{ name: 'dev', models: ['smoke'] }] })).toEqual([])
})

test('R7 names are given once, and replica ids once in the whole spec', () => {
  const twice = [{ name: 'a' }, { name: 'a' }]
  expect(problems({ hosts: twice })).toEqual(['hosts[1].name: "a" is already the name of hosts[0]'])
  expect(problems({ teams: twice })).toEqual(['teams[1].name: "a" is already the name of teams[0]'])
  const url = 'http://127.0.0.1:1/v1'
  expect(
    problems({
      versions: [
        remote('dev-v1-a-awq-p0', { replicas: [{ id: 'x', url }] }),
        remote('dev-v1-b-awq-p0', { replicas: [{ id: 'x', url }] }),
      ],
    }),
  ).toEqual(['versions[1].replicas[0].id: "x" is already the id of versions[0].replicas[0]'])
  expect(problems({ versions: [remote('dev-v1-a-awq-p0'), remote('dev-v1-a-awq-p0', { replicas: [] })] })).toEqual([
    'versions[1].name: "dev-v1-a-awq-p0" is already the name of versions[0]',
  ])
})

test('R8 a version’s name is read, and its prompt and quantisation are checked', () => {
  const version = (name: string, more: object = {}) => problems({ versions: [remote(name, more)] })
  expect(version('dev-v1-Qwen2.5-7B-Q4_K_M-p0')[0]).toMatch(
    /^versions\[0\].name: not a version name: at character \d+ .*\(dev-v1-qwen2-5-7b-q4-k-m-p0\)$/,
  )
  expect(version('dev-v1-a-awq-p7')).toEqual(['versions[0].name: the name ends in p7, and no prompt is named p7'])
  expect(version('dev-v1-a-awq-p0', { artifact: { from: 'file:/m/a-Q8_0.gguf' } })).toEqual([
    "versions[0].artifact.from: the file says q8-0, and the version's name says awq",
  ])
  expect(version('dev-v1-a-q8-0-p0', { artifact: { from: 'file:/m/a-Q8_0.gguf' } })).toEqual([])
  expect(problems({ prompts: { p0: { text: 'x' } } })[0]).toMatch(/^prompts.p0: p0 always exists/)
  expect(problems({ prompts: { p01: { text: 'x' } } })[0]).toMatch(/^prompts.p01: expected a prompt id/)
  expect(problems({ prompts: { p1: { text: 'x', file: 'y' } } })).toEqual([
    'prompts.p1: has both text and file: keep one',
  ])
})

test('R9 an artifact is pinned', () => {
  expect(problems({ versions: [remote('dev-v1-a-awq-p0', { artifact: { from: 'hf:a/b@main' } })] })[0]).toMatch(
    /pin a commit/,
  )
})

test('R10 a replica has a url, or host and port, or is embedded', () => {
  const replica = (kind: string, value: object) =>
    problems({
      hosts: [{ name: 'h' }],
      versions: [
        {
          name: 'dev-v1-a-awq-p0',
          artifact: { from: 'hf:a/b@1234567' },
          engine: { kind },
          replicas: [{ id: 'r', ...value }],
        },
      ],
    })
  expect(replica('vllm', { url: 'http://h:1/v1' })).toEqual([])
  expect(replica('vllm', { host: 'h', port: 1 })).toEqual([])
  expect(replica('embedded', {})).toEqual([])
  expect(replica('vllm', {})[0]).toMatch(/needs url .* or host and port/)
  expect(replica('vllm', { host: 'h' })[0]).toMatch(/needs port/)
  expect(replica('vllm', { url: 'http://h:1/v1', host: 'h' })).toEqual([])
  expect(replica('vllm', { url: 'http://h:1/v1', port: 1 })[0]).toMatch(/port: a replica with a url/)
  expect(replica('openai', { host: 'h', port: 1 })[0]).toMatch(/needs url/)
  expect(replica('embedded', { url: 'http://h:1/v1' })[0]).toMatch(/runs inside Holdfast/)
})

test('R14 costs and budgets are in one currency', () => {
  const document = (host: object, ...budgets: object[]) => ({
    hosts: [{ name: 'h', cost: host }],
    teams: budgets.map((budget, at) => ({ name: `t${at}`, budget })),
  })
  const usd = { amount: 5, currency: 'USD' }
  expect(problems(document({ hourly: 1, currency: 'USD' }, usd, { amount: 9, unit: 'tokens' }))).toEqual([])
  expect(problems({ teams: [{ name: 't', budget: usd }] })).toEqual([])
  expect(problems(document({ hourly: 1 }, usd, { amount: 5 }))).toEqual([
    expect.stringMatching(
      /^teams\[0\]\.budget\.currency: "USD" is another currency than the "EUR" of hosts\[0\]\.cost/,
    ),
  ])
})

test('R14 a budget’s period is one that sums are kept by', () => {
  const every = (text: string) => problems({ teams: [{ name: 't', budget: { amount: 5, every: text } }] })
  expect(every('15m')).toEqual([])
  expect(every('30d')).toEqual([])
  expect(every('90s')[0]).toMatch(/^teams\[0\]\.budget\.every: .*whole minutes/)
  expect(every('30')).toHaveLength(1)
})

test('R10 the embedded engine takes three flags, and needs weights', () => {
  const engine = (flags: object, more: object = { artifact: { from: 'builtin:smoke' } }) =>
    problems({ versions: [{ name: 'dev-v1-a-q8-0-p0', engine: { kind: 'embedded', flags }, ...more }] })
  expect(engine({ 'context-size': 512, 'sequences': 2, 'threads': 1 })).toEqual([])
  expect(engine({ 'context-sise': 5, 'threads': 0 })).toEqual([
    'versions[0].engine.flags.context-sise: the embedded engine has no flag "context-sise"; it has context-size, sequences, threads (context-size)',
    'versions[0].engine.flags.threads: expected a whole number, at least 1',
  ])
  expect(engine({}, {})[0]).toMatch(/needs artifact/)
})

test('R10 what a request is about cannot be a sampling default', () => {
  expect(problems({ versions: [remote('dev-v1-a-awq-p0', { sampling: { temperature: 0.2, stream: true } })] })).toEqual(
    ['versions[0].sampling.stream: stream belongs to the request: it cannot have a default'],
  )
})

test('R11 without models, smoke is served on the embedded engine', () => {
  const spec = withDefaults(good({}))
  expect(spec.models).toMatchObject([{ name: 'smoke', live: 'dev-v1.0-smoke-2m-q8-0-p0' }])
  expect(spec.versions).toMatchObject([
    {
      name: 'dev-v1.0-smoke-2m-q8-0-p0',
      artifact: { from: 'builtin:smoke' },
      engine: { kind: 'embedded', flags: { 'context-size': 512, 'sequences': 8 } },
      replicas: [{ id: 'smoke' }],
    },
  ])
  expect(withDefaults(spec)).toBe(spec)
  const other = withDefaults(
    good({ versions: [remote('dev-v1-a-awq-p0', { replicas: [{ id: 'smoke', url: 'http://h:1' }] })] }),
  )
  expect(other.versions[1]?.replicas[0]?.id).toBe('smoke-2')
})

test('R12 what is not acted on is listed once, by path, and what is acted on is not', () => {
  expect(
    notActedOn(
      served({ gateway: { listen: { port: 1 }, limits: {}, maxStale: '1h' }, capture: { whenUnwritable: 'refuse' } }),
    ),
  ).toEqual([])
  expect(
    notActedOn({
      gateway: { tls: {} },
      hosts: [
        { name: 'h', memory: '1GiB', gpus: [{ id: 'g', power: '1W', numa: 0 }], storage: { models: '/m', state: 'z' } },
      ],
      models: [
        { name: 'a', routing: 'sticky' },
        { name: 'b', routing: 'sticky' },
      ],
      capture: { prompts: true },
      versions: [
        {
          name: 'v',
          engine: { kind: 'vllm', flags: { a: 1 } },
          chatTemplate: 'artifact',
          replicas: [{ id: 'r', host: 'h', port: 1 }],
        },
        {
          name: 'w',
          engine: { kind: 'embedded' },
          chatTemplate: 'x.jinja',
          artifact: { from: 'hf:a/b@1234567' },
          replicas: [{ id: 's', idle: '1m' }],
        },
      ],
    }),
  ).toEqual([
    'hosts[].storage.state',
    'capture.prompts',
    'versions[].chatTemplate',
    'versions[].replicas[].idle',
    'versions[v].engine.flags (part of the version; the engine is not started with them yet)',
    'versions[v].replicas[r] (vllm is not started yet: start it yourself and give its url)',
    'versions[w].artifact (name one GGUF file of it: hf:a/b@1234567:<file>.gguf)',
  ])
})

test('R13 nothing is suggested for words that are no slip', () => {
  expect(problems({ q: 1 })[0]).toMatch(/known here/)
  expect(problems(served({ teams: [{ name: 't', models: ['xyz'] }] }))).toEqual([
    'teams[0].models[0]: no model is named "xyz"',
  ])
})

test('R15 a judge outside our own hosts needs to be allowed', () => {
  const judgedAt = (url: string, more: object = {}) =>
    problems({
      hosts: [{ name: 'gpu7', address: 'gpu7.lab.example' }],
      versions: [{ name: 'dev-v1-a-q8-0-p0', engine: { kind: 'openai' }, replicas: [{ id: 'a', url }] }],
      models: [{ name: 'judge', live: 'dev-v1-a-q8-0-p0' }],
      releases: { careful: { shadow: { judge: 'judge', ...more } } },
    })
  expect(judgedAt('https://api.example.com/v1')).toEqual([
    expect.stringMatching(
      /^releases\.careful\.shadow\.judge: "judge" runs at api\.example\.com, outside our own hosts/,
    ),
  ])
  // A name that begins like a private address is somebody's domain.
  expect(judgedAt('https://10.0.0.1.example.com/v1')).toHaveLength(1)
  expect(judgedAt('https://api.example.com/v1', { allowExternal: true })).toEqual([])
  for (const own of ['127.0.0.1:8000', '10.1.2.3', '172.20.0.9', '[fd00::7]:80', 'judge', 'gpu7.lab.example'])
    expect(judgedAt(`http://${own}/v1`)).toEqual([])
})

test('R15 so does one that marks live answers', () => {
  const marked = (quality: object) =>
    problems({
      versions: [
        {
          name: 'dev-v1-a-q8-0-p0',
          engine: { kind: 'openai' },
          replicas: [{ id: 'a', url: 'https://api.example.com/v1' }],
        },
      ],
      models: [{ name: 'coder', live: 'dev-v1-a-q8-0-p0', quality }],
    })
  expect(marked({ judge: 'coder' })).toEqual([
    expect.stringMatching(/^models\[0\]\.quality\.judge: "coder" runs at api/),
  ])
  expect(marked({ judge: 'coder', allowExternal: true })).toEqual([])
  expect(marked({ judge: 'codre', allowExternal: true })).toEqual([
    expect.stringMatching(/^models\[0\]\.quality\.judge: no model is named "codre"/),
  ])
})

test('the texts of prompt files take their place beside the others', () => {
  const spec = good({ prompts: { p1: { text: 'one' }, p2: { file: 'two.md' } } })
  const { prompts } = inlinePrompts(spec, new Map([['two.md', 'two']]))
  expect(Object.values(prompts).map(prompt => prompt.text)).toEqual(['one', 'two'])
})
