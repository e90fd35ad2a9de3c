/** Controllers on one PostgreSQL: who is active, who takes over, and what is said while the database is away. */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { openJournal } from '../../src/adapters/journal/index.ts'
import { openController } from '../../src/apps/controller.ts'
import { openHome } from '../../src/apps/paths.ts'
import { instant } from '../../src/domain/units.ts'
import { postgresPassword, startPostgres, withoutPostgres, type Postgres } from '../support/postgres.ts'
import { aClose } from './records.ts'

const adminKey = 'sk-admin-'.padEnd(40, 'x')
const main = fileURLToPath(new URL('../../src/apps/main.ts', import.meta.url))
const spec = 'name: lab\nstore: ${env:DATABASE_URL}\n'
/** For processes that start, on a machine that does other things as well. */
const soon = { timeout: 30_000, interval: 50 }

type Answer = { status: number; body: Record<string, unknown> & { error?: { code: string; message: string } } }
type Running = Awaited<ReturnType<typeof startController>>

/** A controller as `holdfast up` runs it, with a state folder of its own. */
async function startController(database: string) {
  const folder = mkdtempSync(join(tmpdir(), 'hf-'))
  const home = openHome(folder)
  const file = join(folder, 'holdfast.yaml')
  writeFileSync(file, spec)
  let said = ''
  let child: ChildProcess | null = null

  async function start(): Promise<void> {
    child = fork(main, ['controller'], {
      env: {
        ...process.env,
        HOLDFAST_HOME: home.root,
        HOLDFAST_ADMIN_KEY: adminKey,
        HOLDFAST_UP: JSON.stringify({ spec: file, fragment: null }),
        DATABASE_URL: database,
      },
      execArgv: ['--disable-warning=ExperimentalWarning'],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    })
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
  }
  async function end(signal: NodeJS.Signals): Promise<number | null> {
    if (child === null || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null
    const ended = once(child, 'exit')
    child.kill(signal)
    const [code] = await ended
    return code
  }

  onTestFinished(async () => {
    await end('SIGKILL')
    rmSync(folder, { recursive: true, force: true })
  })
  await start()
  const call = caller(home.controllerSocket)
  return {
    home,
    start,
    end,
    call,
    said: () => said,
    /** With what it ended by itself. */
    ended: async () =>
      child === null || child.exitCode !== null ? (child?.exitCode ?? null) : (await once(child, 'exit'))[0],
    /** `active`, or the code of its answer; '' while nothing answers. */
    role: () =>
      call('GET', '/api/v1/status').then(
        ({ status, body }) => (status === 200 ? 'active' : (body.error?.code ?? '')),
        () => '',
      ),
  }
}

function caller(socketPath: string) {
  return (method: string, path: string, body?: object): Promise<Answer> => {
    const { promise, resolve, reject } = Promise.withResolvers<Answer>()
    const text = body === undefined ? '' : JSON.stringify(body)
    const headers = {
      'authorization': `Bearer ${adminKey}`,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(text),
    }
    request({ socketPath, method, path, headers }, async answer => {
      let got = ''
      for await (const piece of answer.setEncoding('utf8')) got += piece
      resolve({ status: answer.statusCode ?? 0, body: got === '' ? {} : JSON.parse(got) })
    })
      .once('error', reject)
      .end(text)
    return promise
  }
}

async function until(running: Running, role: string): Promise<void> {
  await vi
    .waitUntil(async () => (await running.role()) === role, soon)
    .catch(async () => {
      throw new Error(`it is '${await running.role()}', not '${role}'; it said:\n${running.said()}`)
    })
}
const requestIds = async ({ call }: Running): Promise<string[]> => {
  const { status, body } = await call('GET', '/api/v1/requests')
  if (status !== 200) return []
  // As the route's schema says.
  return (body['requests'] as { id: string }[]).map(({ id }) => id)
}
const aliases = async ({ call }: Running) =>
  ((await call('GET', '/api/v1/keys')).body['keys'] as { alias: string }[]).map(({ alias }) => alias)

/** As the gateway beside a controller writes it. */
async function writeJournal(running: Running, ids: string[]): Promise<void> {
  const journal = openJournal({
    folder: running.home.journal,
    now: () => instant(Date.now()),
    whenUnwritable: 'refuse',
    onProblem: problem => expect.fail(problem),
  })
  await Promise.all(ids.map(id => new Promise(resolve => journal.append(aClose(id), resolve))))
  await journal.close()
}

describe.skipIf(withoutPostgres)('controllers on one PostgreSQL', { timeout: 90_000 }, () => {
  let postgres: Postgres
  beforeAll(async () => {
    postgres = await startPostgres()
  }, 90_000)
  afterAll(() => postgres.close(), 60_000)

  async function startTwo(): Promise<{ url: string; active: Running; standby: Running }> {
    const url = await postgres.newSchema()
    const two = await Promise.all([startController(url), startController(url)])
    const roles = await vi.waitUntil(async () => {
      const now = await Promise.all(two.map(({ role }) => role()))
      return now.toSorted().join(' ') === 'active standby' ? now : null
    }, soon)
    const [one, other] = two
    const [active, standby] = roles[0] === 'active' ? [one, other] : [other, one]
    // Who is active it hears with its next look at the database.
    await vi.waitUntil(() => /standby: .*process \d+.* is active since 20/.test(standby.said()), soon)
    return { url, active, standby }
  }

  test('one is active, the other says so at every door and takes over when it is killed', async () => {
    const { active, standby, url } = await startTwo()
    expect((await active.call('POST', '/api/v1/keys', { alias: 'slack' })).status).toBe(201)
    for (const [method, path] of [
      ['GET', '/api/v1/keys'],
      ['POST', '/api/v1/keys'],
      ['GET', '/link/v1/gateway?gateway=gw'],
      ['GET', '/key/info'],
      ['GET', '/nowhere'],
    ] as const) {
      const { status, body } = await standby.call(method, path)
      expect([path, status, body.error?.code]).toEqual([path, 503, 'standby'])
      expect(body.error?.message).toMatch(/\(process \d+\) is the active one since 20/)
    }

    await active.end('SIGKILL')
    await until(standby, 'active')
    expect(await aliases(standby)).toEqual(['slack'])
    await active.start()
    await until(active, 'standby')
    expect(await postgres.ask(url, 'select term from active_controller')).toEqual([{ term: '2' }])
    // One that is stopped in order hands over, too.
    expect(await standby.end('SIGTERM')).toBe(0)
    await until(active, 'active')
    expect(await aliases(active)).toEqual(['slack'])
  })

  test('one on standby takes nothing of its journal in; its turn come, each record once', async () => {
    const { active, standby } = await startTwo()
    await writeJournal(active, ['a1', 'a2'])
    await writeJournal(standby, ['s1', 's2', 's3'])
    await vi.waitUntil(async () => (await requestIds(active)).length === 2, soon)
    // Time in which it would have been seen: ingestion looks ten times a second.
    for (let look = 0; look < 10; look++) expect(await requestIds(active)).toEqual(['a2', 'a1'])
    await active.end('SIGKILL')
    await until(standby, 'active')
    await vi.waitUntil(async () => (await requestIds(standby)).length === 5, soon)
    await standby.end('SIGKILL')
    await active.start()
    await until(active, 'active')
    await writeJournal(active, ['a3'])
    await vi.waitUntil(async () => (await requestIds(active)).length === 6, soon)
    expect((await active.call('GET', '/api/v1/usage?by=model')).body).toMatchObject({ usage: [{ requests: 6 }] })
  })

  test('a controller that hangs with its turn is followed, and finds itself on standby when it goes on', async () => {
    const { active, standby } = await startTwo()
    await active.call('POST', '/api/v1/keys', { alias: 'before' })
    const pid = Number(/process (\d+)/.exec(standby.said())?.[1])
    process.kill(pid, 'SIGSTOP')
    await until(standby, 'active')
    await standby.call('POST', '/api/v1/keys', { alias: 'after' })
    process.kill(pid, 'SIGCONT')
    await until(active, 'standby')
    expect((await aliases(standby)).toSorted()).toEqual(['after', 'before'])
  })

  test('the database killed and back: told in words, nothing to restart, one is active, no password anywhere', async () => {
    const { active, standby, url } = await startTwo()
    const answers: string[] = []
    const call = async (...asked: Parameters<Running['call']>) => {
      const answer = await active.call(...asked)
      answers.push(JSON.stringify(answer.body))
      return answer
    }
    await call('POST', '/api/v1/keys', { alias: 'before' })
    await postgres.stop('SIGKILL')
    expect(await call('POST', '/api/v1/keys', { alias: 'during' })).toMatchObject({
      status: 503,
      body: {
        error: {
          code: 'store_unavailable',
          message: expect.stringMatching(
            /^PostgreSQL at 127\.0\.0\.1:\d+\/postgres can't be used now: .*requests for models are not affected/,
          ),
        },
      },
    })
    // What runs is told without the database, and what is wrong with it.
    await vi.waitUntil(async () => {
      const { status, body } = await call('GET', '/api/v1/status')
      return status === 200 && JSON.stringify(body['store']).includes('nothing listens there')
    }, soon)
    await writeJournal(active, ['during'])

    await postgres.start()
    await vi.waitUntil(
      async () => (await call('GET', '/api/v1/keys')).status === 200 || (await standby.role()) === 'active',
      soon,
    )
    // Whoever was quicker to the lock: one of them, and never both.
    const now = await vi.waitUntil(async () => {
      const roles = await Promise.all([active.role(), standby.role()])
      return roles.toSorted().join(' ') === 'active standby' ? roles : null
    }, soon)
    const leader = now[0] === 'active' ? active : standby
    expect(await aliases(leader)).toEqual(['before'])
    expect((await leader.call('POST', '/api/v1/keys', { alias: 'after' })).status).toBe(201)
    if (leader === active) await vi.waitUntil(async () => (await requestIds(active)).length === 1, soon)
    const [row] = await postgres.ask(url, 'select term from active_controller')
    expect(row).toEqual({ term: leader === active ? '1' : '2' })
    expect(leader.said()).toContain('can be used again')
    for (const text of [active.said(), standby.said(), ...answers]) expect(text).not.toContain(postgresPassword)
  })

  test('one that starts while the database is away waits for it, and says so', async () => {
    const url = await postgres.newSchema()
    await postgres.stop('SIGINT')
    const alone = await startController(url)
    await until(alone, 'store_unavailable')
    expect(alone.said()).toMatch(/can't be used now: nothing listens there/)
    await postgres.start()
    await until(alone, 'active')
  })

  test('what a person must mend ends it, with the reason and without the password', async () => {
    const url = (await postgres.newSchema()).replace(postgresPassword, 'canary-of-a-wrong-password')
    const wrong = await startController(url)
    expect(await wrong.ended()).toBe(1)
    expect(wrong.said()).toMatch(/PostgreSQL at 127.*does not let this user in/)
    expect(wrong.said()).not.toContain('canary')

    const home = openHome(mkdtempSync(join(tmpdir(), 'hf-')))
    onTestFinished(() => rmSync(home.root, { recursive: true, force: true }))
    const file = join(home.root, 'holdfast.yaml')
    writeFileSync(file, spec)
    const env = { HOLDFAST_ADMIN_KEY: adminKey, HOLDFAST_UP: JSON.stringify({ spec: file, fragment: null }) }
    await expect(openController({ home, env })).rejects.toThrow(/store: .*DATABASE_URL is not set/)
    const notOne = 'postgres//u:canary@h/d'
    await expect(openController({ home, env: { ...env, DATABASE_URL: notOne } })).rejects.toThrow(
      /postgres:\/\/user:password/,
    )
    await expect(openController({ home, env: { ...env, DATABASE_URL: notOne } })).rejects.not.toThrow(/canary/)
  })
})
