import { describe, expect, test } from 'vitest'
import { engine, gateway } from '../../../test/support/gateways.ts'
import { ask, testAdminKey, testVersion } from '../../../test/support/in-process-gateway.ts'
import { plainModel, type FlagRoute, type VersionRoute } from '../../domain/serving/index.ts'
import { keyId, millis, modelName, replicaId, share, teamName, versionName } from '../../domain/units.ts'
import { flagsFor } from './flags.ts'

const chat = '/v1/chat/completions'
const large = versionName('dev-v1.0-large-fp16-p1')

/** `coder`, and `large` that answers for it under the flag. */
async function flagged(flags: Partial<FlagRoute>[], { team }: { team?: string } = {}) {
  const [small, other] = [await engine(), await engine()]
  const serving = await gateway({
    replicas: [small],
    mayUse: ({ name }) => name === 'coder',
    ...(team === undefined ? {} : { team }),
    also: { models: [], versions: [] },
  })
  const { models, versions } = serving.snapshot()
  const [version] = versions
  if (version === undefined) throw new Error('there is a version')
  const [replica] = version.replicas
  if (replica === undefined) throw new Error('there is a replica')
  const another: VersionRoute = {
    ...version,
    name: large,
    replicas: [{ ...replica, id: replicaId('l0'), address: { url: `${other.url}/v1` } }],
  }
  serving.use({
    flags: flags.map(flag => ({ name: 'big', teams: [], share: share(1), answers: null, ...flag })),
    models: [
      ...models,
      { ...plainModel, name: modelName('large'), live: large, queue: { waiting: 1, deadline: millis(1_000) } },
    ],
    versions: [...versions, another],
  })
  return { ...serving, small, other }
}

const answersByLarge: Partial<FlagRoute> = { answers: { model: modelName('coder'), by: modelName('large') } }

describe('flags', () => {
  test('a flag lets another model answer for who may use the one that was asked for, and says so everywhere', async () => {
    const { post, closed, other } = await flagged([answersByLarge])
    const answer = await post(chat, ask('Hi'))
    expect(answer.status).toBe(200)
    expect(answer.headers.get('x-holdfast-version')).toBe(large)
    expect(answer.headers.get('x-holdfast-flags')).toBe('big')
    expect(closed()).toMatchObject([{ model: 'large', version: large, flags: ['big'] }])
    const [seen] = other.state().lastRequests
    expect(seen?.body).toMatchObject({ model: 'large' })
    expect(seen?.headers).toMatchObject({ 'x-holdfast-flags': 'big' })
  })

  test('the model behind it stays closed to those who ask for it themselves', async () => {
    const { post } = await flagged([answersByLarge])
    expect((await post(chat, ask('Hi', { model: 'large' }))).status).toBe(403)
  })

  test('streams and errors name the flags too', async () => {
    const { post, other } = await flagged([{}, { name: 'fast' }, answersByLarge])
    const stream = await post(chat, ask('Hi', { stream: true }))
    expect(stream.headers.get('x-holdfast-flags')).toBe('big,fast,big')
    await stream.text()
    other.behave({ status: 422 })
    const refused = await post(chat, ask('Hi'))
    expect([refused.status, refused.headers.get('x-holdfast-flags')]).toEqual([422, 'big,fast,big'])
  })

  test('it is on for its teams alone', async () => {
    const teams = [teamName('research')]
    const { post } = await flagged([{ ...answersByLarge, teams }], { team: 'research' })
    expect((await post(chat, ask('Hi'))).headers.get('x-holdfast-version')).toBe(large)
    const others = await flagged([{ ...answersByLarge, teams }], { team: 'sales' })
    const answer = await others.post(chat, ask('Hi'))
    expect([answer.headers.get('x-holdfast-version'), answer.headers.get('x-holdfast-flags')]).toEqual([
      testVersion,
      null,
    ])
    const admin = await fetch(`${others.url}${chat}`, {
      method: 'POST',
      headers: { 'authorization': `Bearer ${testAdminKey}`, 'content-type': 'application/json' },
      body: JSON.stringify(ask('Hi')),
    })
    expect(admin.headers.get('x-holdfast-version')).toBe(testVersion)
  })

  test('off, or for a model that nobody serves, it changes nothing', async () => {
    const off = await flagged([{ ...answersByLarge, share: share(0) }])
    const answer = await off.post(chat, ask('Hi'))
    expect([answer.headers.get('x-holdfast-version'), answer.headers.get('x-holdfast-flags')]).toEqual([
      testVersion,
      null,
    ])
    expect(off.closed()[0]).not.toHaveProperty('flags')
    const unserved = await flagged([{ answers: { model: modelName('coder'), by: modelName('nothing') } }])
    expect((await unserved.post(chat, ask('Hi'))).headers.get('x-holdfast-version')).toBe(testVersion)
  })

  test('each key has it or not, a part of them by share, and keeps it as the share grows', () => {
    const on = (part: number, name = 'big'): boolean[] =>
      Array.from({ length: 2_000 }, (_, i) => {
        const principal = { kind: 'key', id: keyId(`key_${i}`), alias: null, team: null } as const
        return flagsFor(principal, [{ name, teams: [], share: share(part), answers: null }]).length > 0
      })
    const [little, more, another] = [on(0.2), on(0.5), on(0.2, 'other')]
    const count = (all: boolean[]): number => all.filter(Boolean).length
    // Five standard deviations.
    expect(Math.abs(count(little) - 400)).toBeLessThan(90)
    expect(little.every((isOn, i) => !isOn || more[i])).toBe(true)
    expect(another.filter((isOn, i) => isOn && little[i]).length).toBeLessThan(140)
  })
})
