/** The door for gateways elsewhere: the controller in this process, and callers with whatever certificate they like. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { request } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import {
  controllerName,
  joinAt,
  openAuthority,
  openGatewayIdentity,
  parseJoinToken,
  type JoinToken,
} from '../../src/adapters/identity/index.ts'
import { openRemoteListener, send, socketLine, tlsLine } from '../../src/adapters/link/index.ts'
import { openController } from '../../src/apps/controller.ts'
import { openHome } from '../../src/apps/paths.ts'
import { freePort } from '../support/joined-gateway.ts'

const adminKey = 'sk-admin-'.padEnd(40, 'x')

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'hf-door-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

async function openService() {
  const home = openHome(newFolder())
  const port = await freePort()
  const controller = await openController({
    home,
    env: {
      HOLDFAST_ADMIN_KEY: adminKey,
      HOLDFAST_LOG_LEVEL: 'silent',
      HOLDFAST_UP: JSON.stringify({ spec: null, fragment: null }),
      HOLDFAST_CONTROLLER_LISTEN: `127.0.0.1:${port}`,
    },
  })
  onTestFinished(() => controller.close())
  const address = `127.0.0.1:${port}`
  const authority = await openAuthority({ folder: join(home.controller, 'identity'), now: Date.now })
  /** As a gateway that the controller does not know: issued with the controller's own key, behind its back. */
  function asGateway(id: string) {
    const identity = openGatewayIdentity(newFolder())
    return { cert: authority.issueGateway({ id, publicKey: identity.publicKey }).certificate, key: identity.key }
  }
  return { home, address, authority, asGateway }
}

type With = { address: string; ca: string; cert?: string; key?: string }

function callWith(
  { address, ca, cert, key }: With,
  { method = 'GET', path, body }: { method?: string; path: string; body?: object | undefined },
): Promise<{ status: number; body: { error?: { message: string; code: string } } & Record<string, unknown> }> {
  const { promise, resolve, reject } = Promise.withResolvers<Awaited<ReturnType<typeof callWith>>>()
  const [host, port] = address.split(':')
  const call = request(
    {
      host,
      port,
      ca,
      ...(cert === undefined ? {} : { cert, key }),
      servername: controllerName,
      agent: false,
      method,
      path,
      headers: { 'authorization': `Bearer ${adminKey}`, 'content-type': 'application/json' },
    },
    answer => {
      let text = ''
      answer.setEncoding('utf8').on('data', (piece: string) => (text += piece))
      answer.once('end', () => resolve({ status: answer.statusCode ?? 0, body: text === '' ? {} : JSON.parse(text) }))
    },
  )
  call.once('error', reject)
  call.end(body === undefined ? undefined : JSON.stringify(body))
  return promise
}

/** Over the Unix socket, as the gateway beside the controller relays it. */
async function tokenOf(home: ReturnType<typeof openHome>): Promise<JoinToken> {
  const line = socketLine(home.controllerSocket)
  const withKey: typeof line = {
    ...line,
    request: (call, onAnswer) =>
      line.request({ ...call, headers: { ...call.headers, authorization: `Bearer ${adminKey}` } }, onAnswer),
  }
  const { text } = await send(withKey, '/api/v1/gateways/tokens', {
    type: 'application/json',
    bytes: '{}',
  })
  const token = parseJoinToken((JSON.parse(text) as { token?: string }).token ?? '')
  if (token === null) throw new Error(text)
  return token
}

async function joined({ home, address }: Awaited<ReturnType<typeof openService>>) {
  const identity = openGatewayIdentity(newFolder())
  const found = await joinAt(address, { token: await tokenOf(home), identity })
  return { ...found, identity, caller: { address, ca: found.authority, cert: found.certificate, key: identity.key } }
}

test('who joined may call, also for administration; its secret is nowhere in the state folder', async () => {
  const service = await openService()
  const token = await tokenOf(service.home)
  const identity = openGatewayIdentity(newFolder())
  const { id, certificate, authority } = await joinAt(service.address, { token, identity })
  expect(authority).toBe(service.authority.certificate)
  const caller = { address: service.address, ca: authority, cert: certificate, key: identity.key }
  const { status, body } = await callWith(caller, { path: '/api/v1/gateways' })
  expect(status).toBe(200)
  expect(body['gateways']).toMatchObject([{ gateway: id, local: false, connected: false }])
  for (const file of ['holdfast.db', 'holdfast.db-wal'])
    expect(readFileSync(join(service.home.controller, file)).includes(token.secret)).toBe(false)
})

test('without a certificate one may join, and nothing else', async () => {
  const { address, authority } = await openService()
  const nobody = { address, ca: authority.certificate }
  for (const path of ['/link/v1/gateway?gateway=x', '/link/v1/agent', '/api/v1/status', '/key/list', '/link/v1/join/'])
    expect(await callWith(nobody, { path }), path).toMatchObject({
      status: 403,
      body: { error: { code: 'gateway_refused', message: expect.stringContaining('join first') } },
    })
  const body = { secret: 'x', publicKey: 'x', proof: 'x' }
  expect(await callWith(nobody, { method: 'POST', path: '/link/v1/join', body })).toMatchObject({
    status: 403,
    body: { error: { code: 'join_refused' } },
  })
})

test('certificates of another authority, of nobody known and of one that was removed open nothing', async () => {
  const service = await openService()
  const { address, authority, asGateway } = service
  const other = await openAuthority({ folder: newFolder(), now: Date.now })
  const identity = openGatewayIdentity(newFolder())
  const stranger = {
    cert: other.issueGateway({ id: 'g', publicKey: identity.publicKey }).certificate,
    key: identity.key,
  }
  const ca = authority.certificate
  expect(await callWith({ address, ca, ...stranger }, { path: '/api/v1/status' })).toMatchObject({
    status: 403,
    body: { error: { message: expect.stringContaining('another service') } },
  })
  expect(await callWith({ address, ca, ...asGateway('nobody') }, { path: '/api/v1/status' })).toMatchObject({
    status: 403,
    body: { error: { message: expect.stringContaining('not known') } },
  })
  const { id, caller } = await joined(service)
  expect(
    await callWith(caller, { method: 'DELETE', path: `/api/v1/gateways/${id}` }).catch(() => null),
  ).not.toMatchObject({ status: 403 })
  expect(await callWith(caller, { path: '/api/v1/status' })).toMatchObject({
    status: 403,
    body: { error: { code: 'gateway_removed' } },
  })
})

test('a certificate that is over says so, and how to come back; the controller’s own is not believed then either', async () => {
  const service = await openService()
  const past = await openAuthority({
    folder: join(service.home.controller, 'identity'),
    now: () => Date.now() - 7_200_000,
    lifeMs: 3_600_000,
  })
  const identity = openGatewayIdentity(newFolder())
  const cert = past.issueGateway({ id: 'g', publicKey: identity.publicKey }).certificate
  const caller = { address: service.address, ca: past.certificate, cert, key: identity.key }
  expect(await callWith(caller, { path: '/api/v1/status' })).toMatchObject({
    status: 403,
    body: { error: { code: 'gateway_refused', message: expect.stringMatching(/expired.*gateway token/) } },
  })
  const listener = await openRemoteListener({
    listen: { host: '127.0.0.1', port: 0 },
    authority: past.certificate,
    credentials: past.issueController,
    admits: () => 'yes',
    handle: (_request, response) => response.end('{}'),
    now: Date.now,
  })
  onTestFinished(() => listener.close())
  await expect(callWith({ ...caller, address: `127.0.0.1:${listener.port}` }, { path: '/' })).rejects.toThrow(/expired/)
})

test('a gateway’s certificate does not make a controller', async () => {
  const service = await openService()
  const identity = openGatewayIdentity(newFolder())
  const { certificate } = service.authority.issueGateway({ id: controllerName, publicKey: identity.publicKey })
  const impostor = await openRemoteListener({
    listen: { host: '127.0.0.1', port: 0 },
    authority: service.authority.certificate,
    credentials: () => ({
      cert: `${certificate}${service.authority.certificate}`,
      key: identity.key,
      endsAt: Infinity,
    }),
    admits: () => 'yes',
    handle: (_request, response) => response.end('{}'),
    now: Date.now,
  })
  onTestFinished(() => impostor.close())
  const address = `127.0.0.1:${impostor.port}`
  await expect(callWith({ address, ca: service.authority.certificate }, { path: '/' })).rejects.toThrow()
  const token = await tokenOf(service.home)
  await expect(joinAt(address, { token, identity: openGatewayIdentity(newFolder()) })).rejects.toThrow(address)
})

test('a token is not shown to whoever is not the service that it names', async () => {
  const service = await openService()
  const other = await openAuthority({ folder: newFolder(), now: Date.now })
  const heard: unknown[] = []
  const stranger = await openRemoteListener({
    listen: { host: '127.0.0.1', port: 0 },
    authority: other.certificate,
    credentials: other.issueController,
    admits: () => 'yes',
    handle: (request, response) => {
      heard.push(request.url)
      response.end('{}')
    },
    now: Date.now,
  })
  onTestFinished(() => stranger.close())
  const token = await tokenOf(service.home)
  const ask = { token, identity: openGatewayIdentity(newFolder()) }
  await expect(joinAt(`127.0.0.1:${stranger.port}`, ask)).rejects.toThrow(/not the service that this token is for/)
  expect(heard).toEqual([])
})

test('each gateway speaks for itself only, and hears nothing that is for agents', async () => {
  const service = await openService()
  const { caller } = await joined(service)
  const post = (path: string, body: object) => callWith(caller, { method: 'POST', path, body })
  const refused = { status: 403, body: { error: { code: 'gateway_refused' } } }
  const gateway = 'another'
  expect(await callWith(caller, { path: `/link/v1/gateway?gateway=${gateway}` })).toMatchObject(refused)
  expect(await post('/link/v1/acknowledge', { gateway, epoch: 'e', seq: 9, snapshot: null })).toMatchObject(refused)
  expect(await post('/link/v1/report', { gateway, journalBehind: 0, problems: [] })).toMatchObject(refused)
  expect(await post('/link/v1/leave', { gateway })).toMatchObject(refused)
  expect(await callWith(caller, { path: '/link/v1/agent' })).toMatchObject(refused)
  expect(await post('/link/v1/renew', { publicKey: openGatewayIdentity(newFolder()).publicKey })).toMatchObject(refused)
})

test('a renewed certificate is for the same gateway and goes on from the line that it came over', async () => {
  const service = await openService()
  const { id, identity, caller } = await joined(service)
  const { status, body } = await callWith(caller, {
    method: 'POST',
    path: '/link/v1/renew',
    body: { publicKey: identity.publicKey },
  })
  expect(status).toBe(200)
  const [host = '', port] = service.address.split(':')
  const line = tlsLine({
    addresses: [{ host, port: Number(port) }],
    servername: controllerName,
    credentials: { ca: caller.ca, cert: caller.cert, key: caller.key },
  })
  onTestFinished(() => line.close())
  const report = { type: 'application/json', bytes: JSON.stringify({ gateway: id, journalBehind: 0, problems: [] }) }
  expect(await send(line, '/link/v1/report', report)).toMatchObject({ status: 204 })
  line.renew({ ca: caller.ca, cert: String(body['certificate']), key: caller.key })
  expect(await send(line, '/link/v1/report', report)).toMatchObject({ status: 204 })
})

test('a line with several addresses goes on to the next', async () => {
  const service = await openService()
  const { id, caller } = await joined(service)
  const [host = '', port] = service.address.split(':')
  const line = tlsLine({
    addresses: [
      { host, port: await freePort() },
      { host, port: Number(port) },
    ],
    servername: controllerName,
    credentials: { ca: caller.ca, cert: caller.cert, key: caller.key },
  })
  onTestFinished(() => line.close())
  const report = { type: 'application/json', bytes: JSON.stringify({ gateway: id, journalBehind: 0, problems: [] }) }
  await expect(send(line, '/link/v1/report', report)).rejects.toThrow(/ECONNREFUSED/)
  line.next()
  expect(await send(line, '/link/v1/report', report)).toMatchObject({ status: 204 })
})

test('of gateways that bring one token at the same time, one gets in', async () => {
  const service = await openService()
  const token = await tokenOf(service.home)
  const attempts = await Promise.allSettled(
    [1, 2, 3].map(() => joinAt(service.address, { token, identity: openGatewayIdentity(newFolder()) })),
  )
  expect(attempts.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  for (const attempt of attempts)
    if (attempt.status === 'rejected') expect(String(attempt.reason)).toMatch(/used before/)
})

test('a controller that is not asked to listen makes no token, and says what would make it', async () => {
  const home = openHome(newFolder())
  const controller = await openController({
    home,
    env: {
      HOLDFAST_ADMIN_KEY: adminKey,
      HOLDFAST_LOG_LEVEL: 'silent',
      HOLDFAST_UP: JSON.stringify({ spec: null, fragment: null }),
    },
  })
  onTestFinished(() => controller.close())
  await expect(tokenOf(home)).rejects.toThrow(/HOLDFAST_CONTROLLER_LISTEN/)
})
