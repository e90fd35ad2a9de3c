/** Audit as an operator meets it: the command line against a whole service. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { repository, startService, type Service } from '../support/service.ts'

const person = 'anna-of-the-canaries'
let service: Service
const keys: Record<string, { id: string; key: string }> = {}
beforeAll(async () => {
  service = await startService()
  for (const alias of [person, 'bob']) {
    const { stdout } = await service.cli('key', 'create', '--alias', alias, '--person', alias, '--json')
    keys[alias] = JSON.parse(stdout)
  }
  for (const alias of [person, 'bob', person]) await ask(keys[alias]?.key ?? '')
}, 120_000)
afterAll(() => service.stop())

const ask = (key: string, model = 'smoke') =>
  fetch(`${service.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'authorization': `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello' }], max_tokens: 2 }),
  })

type Entry = Record<'what' | 'who' | 'alias' | 'from' | 'target' | 'decision' | 'why', string | null>
async function search(...flags: string[]): Promise<Entry[]> {
  const { stdout, stderr, exitCode } = await service.cli('audit', 'search', '--json', ...flags)
  expect(`${exitCode} ${stderr}`).toBe('0 ')
  return stdout
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line))
}

test('who, from where, what was decided and why: acts and requests, found by each', async () => {
  const { id = '' } = keys[person] ?? {}
  expect((await ask(keys[person]?.key ?? '', 'no-such-model')).status).toBe(404)
  expect((await ask('sk-hf-nonsense')).status).toBe(401)
  const stranger = await fetch(`${service.url}/api/v1/keys`, { method: 'POST', headers: { authorization: 'Bearer x' } })
  expect(stranger.status).toBe(401)

  const [applied] = await search('--what', 'spec.applied')
  expect(applied).toMatchObject({ who: 'controller', decision: 'done' })
  expect(await search('--what', 'key.*', '--decision', 'refused')).toMatchObject([
    { what: 'key.create', who: null, from: '127.0.0.1', why: expect.stringContaining('invalid_api_key') },
  ])
  expect(await search('--who', person, '--what', 'key.*')).toMatchObject([
    { what: 'key.create', who: 'admin', target: id, from: '127.0.0.1', decision: 'done' },
  ])
  // As scripts for LiteLLM administer.
  expect((await service.call('/key/generate', { key_alias: 'ci' })).status).toBe(200)
  expect((await service.call('/key/block', { key: 'no-such-key-anywhere' })).status).toBe(404)
  expect(await search('--what', 'key.*', '--limit', '2')).toMatchObject([
    { what: 'key.block', decision: 'refused', target: null, why: expect.not.stringContaining('no-such-key') },
    { what: 'key.create', decision: 'done', target: expect.stringMatching(/^key_/), who: 'admin' },
  ])
  const theirs = await search('--who', person, '--what', 'request')
  expect(theirs.map(({ alias, decision, from }) => [alias, decision, from])).toEqual([
    [person, 'refused', '127.0.0.1'],
    [person, 'done', '127.0.0.1'],
    [person, 'done', '127.0.0.1'],
  ])
  expect(theirs[0]?.why).toBe('model-unknown')
  expect(theirs[1]?.why).toBeTruthy()
  expect(await search('--what', 'request', '--decision', 'refused', '--since', '1h')).toHaveLength(2)
  expect(await search('--text', 'MODEL-UNKNOWN')).toHaveLength(1)
  expect(await search('--limit', '2')).toHaveLength(2)
  const { stdout } = await service.cli('audit', 'search', '--what', 'key.*')
  expect(stdout).toMatch(/^TIME +WHAT +WHO +FROM +TARGET +DECISION +WHY/)
  const wrong = await service.cli('audit', 'search', '--since', 'yesterday')
  expect(wrong.exitCode).toBe(1)
  expect(wrong.stderr).toContain('since')
})

test('everything is exported, as JSON lines and as CSV, to a pipe and to a file', async () => {
  const { stdout } = await service.cli('audit', 'export')
  const lines = stdout.trimEnd().split('\n')
  expect(lines.map(line => JSON.parse(line).what)).toContain('key.create')
  const file = join(service.folder, 'audit.csv')
  expect((await service.cli('audit', 'export', '--format', 'csv', '-o', file)).exitCode).toBe(0)
  const csv = readFileSync(file, 'utf8').trimEnd().split('\r\n')
  expect(csv[0]).toBe('time,what,decision,who,alias,team,model,from,target,why,id,detail')
  expect(csv.length).toBe(lines.length + 1)
  expect((await service.cli('audit', 'export', '--format', 'xls')).exitCode).toBe(2)
  // Whoever reads the pipe has seen enough at once.
  const cut = spawn('sh', ['-c', `"${join(repository, 'bin/holdfast')}" audit export | head -c 1`], {
    env: service.env,
  })
  let said = ''
  cut.stderr.on('data', (text: Buffer) => {
    said += text.toString()
  })
  await once(cut, 'close')
  expect(said).toBe('')
})

test('only the administrator may read it', async () => {
  for (const path of ['audit', 'audit/export', 'audit/erasures', `audit/person?who=${person}`]) {
    const answer = await fetch(`${service.url}/api/v1/${path}`, {
      headers: { authorization: `Bearer ${keys['bob']?.key}` },
    })
    expect(answer.status).toBe(403)
  }
})

test('somebody is erased: nothing in the state folder names them any more, and the journal is intact', async () => {
  const { id = '' } = keys[person] ?? {}
  const before = await service.cli('audit', 'erase', '--who', person, '--dry-run')
  expect(before.stdout).toMatch(/^3 requests and \d+ acts are about/)
  expect(before.stdout).toContain('Not revoked')
  await service.cli('key', 'revoke', person)
  // Its segment is closed by whoever comes after it.
  const gateway = (await service.processes()).find(process => process.role === 'gateway')
  process.kill(gateway?.pid ?? 0, 'SIGKILL')
  for (let waiting = 1; waiting > 0;) {
    const { stdout, stderr } = await service.cli('audit', 'erase', '--who', id, '--json')
    expect(stderr).toBe('')
    waiting = JSON.parse(stdout).waiting
    if (waiting > 0) await setTimeout(200)
  }
  const left = filesOf(service.home).filter(path => {
    const bytes = readFileSync(path).toString('latin1')
    // The key itself stays, by its id and its hash, so that it stays refused.
    return bytes.includes(person) || (path.includes('/journal/') && bytes.includes(id))
  })
  // What the database wrote before is overwritten as it goes on, and gone when it is closed.
  expect(left.filter(path => !path.endsWith('.db-wal'))).toEqual([])
  expect(await search('--who', person)).toEqual([])
  expect((await search('--who', 'bob', '--what', 'request')).length).toBe(1)
  const verified = await service.cli('audit', 'verify')
  expect(`${verified.exitCode} ${verified.stderr}`).toBe('0 ')
  expect(verified.stdout).toMatch(/\d+ lines were erased, and an act in the chain vouches for each/)
  expect((await service.cli('audit', 'erase', '--who', 'admin')).exitCode).toBe(1)
  expect((await service.cli('audit', 'erase', '--who', 'nobody-of-that-name')).exitCode).toBe(1)
})

test('a line that somebody changed in the controller’s own journal is found', async () => {
  const path = filesOf(join(service.home, 'journal')).find(file => readFileSync(file, 'utf8').includes('spec.applied'))
  const whole = readFileSync(path ?? '', 'utf8')
  expect(whole).toContain('"who":"controller"')
  writeFileSync(path ?? '', whole.replace('"who":"controller"', '"who":"administrat"'))
  const found = await service.cli('audit', 'verify')
  expect(found.exitCode).toBe(1)
  expect(found.stderr).toMatch(/edited/)
  writeFileSync(path ?? '', whole)
})

const filesOf = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name))
