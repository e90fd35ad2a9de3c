import { describe, expect, test } from 'vitest'
import { canaryOf, policyOf } from '../../domain/release/fake.ts'
import { instant, millis, modelName, versionName } from '../../domain/units.ts'
import {
  anna,
  blueGreen,
  coder,
  fakeReleaseStore,
  newOne,
  oldOne,
  startController,
  thirdOne,
  wishesOf,
} from '../../../test/support/release-controller.ts'

const passed = { at: instant(0), passed: true, checks: [{ name: 'answers', passed: true, detail: 'OK' }] }
const goldenPassed = {
  ...{ at: instant(0), verdict: 'pass' as const, why: 'not worse', cases: 9 },
  ...{ candidateScore: 1, liveScore: 1, smallestVisible: 0.1 },
}
const tried = policyOf({ ...blueGreen, name: 'tried', smoke: { prompts: 1 } })
const begin = { model: coder, version: newOne, by: anna }

async function serving(policy = blueGreen, store = fakeReleaseStore()) {
  const controller = await startController(store)
  await controller.releases.follow(wishesOf(oldOne, { policy }))
  store.log.length = 0
  return controller
}

describe('a release by command', () => {
  test('is stored before anything is done about it, at every step of its way', async () => {
    const { releases, look, store } = await serving()
    const release = await releases.start(begin)
    expect(release).toMatchObject({ from: oldOne, to: newOne, phase: 'draft', origin: { kind: 'command' }, by: anna })
    expect(await look()).toBe('canary')
    store.push(release.id, served)
    expect(await look(2)).toBe('bake')
    expect(await look(1_000)).toBe('over')
    expect(store.log.filter(line => !line.startsWith('told'))).toEqual([
      ...['stored draft', 'served'],
      ...['stored canary', 'served', 'stored bake', 'stored live', `real ${newOne}`, 'stored live', 'served'],
    ])
    expect(releases.states().get(coder)).toEqual({ live: newOne, release: null })
  })

  test('tells of each decision once, however often it is looked at', async () => {
    const { releases, look, store } = await serving()
    await releases.start(begin)
    for (let n = 0; n < 5; n++) await look()
    const told = store.log.filter(line => line.startsWith('told'))
    expect(told).toEqual(['told: v2 is loaded'])
    const { id } = releases.all()[0] ?? { id: null }
    if (id === null) throw new Error('it is under way')
    expect((await store.decisions(id)).map(({ n }) => n)).toEqual([1])
  })

  test('does nothing that could not be stored, and tries again', async () => {
    const { releases, look, store, problems } = await serving()
    await releases.start(begin)
    store.failNext('save')
    store.log.length = 0
    expect(await look()).toBe('draft')
    expect(store.log).toEqual([])
    expect(problems).toEqual([expect.stringMatching(/could not be looked at: the disk is full/)])
    expect(await look()).toBe('canary')
    expect(store.log).toContain('served')
  })

  test.each([
    ['of a model that is not there', { ...begin, model: modelName('nobody') }, 'not-found'],
    ['to a version that is not there', { ...begin, version: versionName('v9') }, 'not-found'],
    ['by a policy that is not there', { ...begin, policy: 'nosuch' }, 'not-found'],
    ['to what answers already', { ...begin, version: oldOne }, 'conflict'],
  ])('is refused %s', async (_, wanted, kind) => {
    const { releases } = await serving()
    await expect(releases.start(wanted)).rejects.toMatchObject({ fault: { kind } })
    expect(releases.all()).toEqual([])
  })

  test('is refused without a policy, while another is under way, and where Git decides; the way out is said', async () => {
    const bare = await serving()
    await bare.releases.follow(wishesOf(oldOne, { policy: null, policies: new Map([['bold', blueGreen]]) }))
    await expect(bare.releases.start(begin)).rejects.toThrow(/name one \(--policy\), of bold/)
    expect(await bare.releases.start({ ...begin, policy: 'bold' })).toMatchObject({ phase: 'draft' })
    await expect(bare.releases.start({ ...begin, version: thirdOne, policy: 'bold' })).rejects.toThrow(/abort coder/)

    const byGit = await serving()
    await byGit.releases.follow(wishesOf(oldOne, { followsGit: true }))
    await expect(byGit.releases.start(begin)).rejects.toThrow(/follows Git: set the live of coder to v2 there/)
  })

  test('can be aborted under Git, and not promoted', async () => {
    const { releases, look } = await serving()
    await releases.follow(wishesOf(newOne, { followsGit: true }))
    await look()
    await expect(releases.promote(coder, anna)).rejects.toThrow(/follows Git/)
    expect(await releases.abort(coder, anna)).toMatchObject({ phase: 'aborted', why: 'aborted by anna: it is better' })
    await expect(releases.abort(coder, anna)).rejects.toThrow(/No release of coder is under way/)
  })

  test('is promoted, aborted and resumed only with a reason', async () => {
    const { releases, look } = await serving()
    await releases.start(begin)
    await look()
    for (const act of ['promote', 'abort', 'resume'] as const)
      await expect(releases[act](coder, { ...anna, reason: ' ' })).rejects.toMatchObject({
        fault: { kind: 'conflict' },
      })
    expect(await releases.promote(coder, anna)).toMatchObject({ phase: 'bake', promotedBy: anna })
  })
})

describe('trials', () => {
  test('run once at a time, and what they bring moves the release on', async () => {
    const { releases, look, asked, settle, underway } = await serving(tried)
    await releases.start(begin)
    for (let n = 0; n < 4; n++) expect(await look()).toBe('smoke')
    expect(asked.smoke).toHaveLength(1)
    asked.smoke[0]?.resolve(passed)
    await settle()
    expect(underway()).toMatchObject({ phase: 'canary', smoke: { passed: true } })
  })

  test('that could not be done are done again at the next look', async () => {
    const { releases, look, asked, settle, problems, underway } = await serving(tried)
    await releases.start(begin)
    await look()
    asked.smoke[0]?.reject(new Error('the gateway was being replaced'))
    await settle()
    expect(problems).toEqual(['The smoke of v2 could not be done: the gateway was being replaced'])
    await look()
    expect(asked.smoke).toHaveLength(2)
    expect(underway()?.phase).toBe('smoke')
  })

  test('are ended with their release, and what they bring then is nobody’s', async () => {
    const { releases, look, asked, settle, problems, underway } = await serving(tried)
    await releases.start(begin)
    await look()
    await releases.abort(coder, anna)
    expect(asked.smoke[0]?.signal.aborted).toBe(true)
    asked.smoke[0]?.resolve(passed)
    await settle()
    expect(problems).toEqual([])
    expect(underway()).toBeNull()
  })

  test('of the golden set keep every row before the release goes by it', async () => {
    const golden = { set: 'g.jsonl', margin: 0.02, repeats: 1, judge: null, embed: null }
    const { releases, look, asked, settle, store } = await serving(policyOf({ ...blueGreen, golden }))
    const { id } = await releases.start(begin)
    await look()
    asked.golden[0]?.resolve({ result: goldenPassed, whole: { rows: [1, 2] } })
    await settle()
    expect(await store.kept(id)).toMatchObject([{ kind: 'golden', content: { rows: [1, 2] } }])
    expect(store.log.indexOf('kept golden')).toBeLessThan(store.log.lastIndexOf('stored canary'))
  })

  test('ask each confirm hook in turn, and stop at the first no', async () => {
    const hooks = ['http://a', 'http://b'].map(url => ({ kind: 'confirm' as const, url, secret: null }))
    const { releases, look, asked, settle, store, underway } = await serving(policyOf({ ...blueGreen, hooks }))
    const { id } = await releases.start(begin)
    await look()
    store.push(id, served)
    expect(await look(2)).toBe('bake')
    await look(2_000)
    expect(asked.confirm).toHaveLength(1)
    asked.confirm[0]?.resolve({ ok: false, detail: 'not today' })
    await settle()
    expect(underway()).toMatchObject({ phase: 'bake' })
    expect(asked.confirm).toHaveLength(2)
    for (const each of [1, 2]) {
      asked.confirm[each]?.resolve({ ok: true, detail: 'yes' })
      await settle()
    }
    expect(await look()).toBe('over')
    expect(releases.states().get(coder)?.live).toBe(newOne)
  })
})

describe('a controller that is killed', () => {
  test('goes on where it was stored to be, and does again what may not have been done', async () => {
    const first = await serving(tried)
    const { id } = await first.releases.start(begin)
    await first.look()
    const second = await first.kill()
    second.store.log.length = 0
    await second.releases.follow(wishesOf(oldOne, { policy: tried }))
    await second.releases.resumeAll()
    expect(second.store.log).toEqual(['served', 'asked for smoke'])
    second.asked.smoke[0]?.resolve(passed)
    await second.settle()
    expect(second.underway()).toMatchObject({ id, phase: 'canary' })
    expect((await second.store.decisions(id)).map(({ n }) => n)).toEqual([1, 2, 3])
  })

  test('between storing that it is live and serving it, still serves it', async () => {
    const first = await serving()
    const { id } = await first.releases.start(begin)
    await first.look()
    first.store.push(id, served)
    await first.look(2)
    first.store.failNext('setReal')
    await first.look(1_000)
    expect(await first.store.find(id)).toMatchObject({ phase: 'live' })
    const second = await first.kill()
    expect(second.releases.states().get(coder)).toEqual({ live: newOne, release: null })
  })

  test('does not take a spec back that was put in force after the release', async () => {
    const first = await serving()
    await first.releases.follow(wishesOf(newOne))
    const id = first.underway()?.id
    if (id === undefined) throw new Error('it is under way')
    await first.look()
    first.store.push(id, served)
    await first.look(2)
    expect(await first.look(1_000)).toBe('over')
    await first.releases.follow(wishesOf(oldOne, { policy: null }))
    expect(first.releases.states().get(coder)?.live).toBe(oldOne)
    const second = await first.kill()
    expect(second.releases.states().get(coder)?.live).toBe(oldOne)
  })

  test.each(['save', 'setReal'] as const)(
    'while a wish of the spec is taken up (%s), still fulfils it',
    async write => {
      const first = await serving()
      first.store.failNext(write)
      await expect(first.releases.follow(wishesOf(newOne))).rejects.toThrow('the disk is full')
      const second = await first.kill()
      await second.releases.follow(wishesOf(newOne))
      expect(second.releases.all()).toMatchObject([{ from: oldOne, to: newOne }])
    },
  )

  test('counts what it had counted, once', async () => {
    const careful = policyOf({ canary: canaryOf([0.5, 1], { minTime: millis(1), minRequests: 3 }) })
    const first = await serving(careful)
    const { id } = await first.releases.start(begin)
    await first.look()
    for (let n = 0; n < 2; n++) first.store.push(id, { ...served, unit: `u${n}` })
    expect(await first.look(5)).toBe('canary')
    const second = await first.kill()
    await second.releases.follow(wishesOf(oldOne, { policy: careful }))
    await second.look(5)
    expect(second.underway()).toMatchObject({ phase: 'canary', step: 1 })
    second.store.push(id, { ...served, unit: 'u3' })
    await second.look(5)
    expect(second.underway()).toMatchObject({ phase: 'canary', step: 2 })
  })
})

describe('the spec', () => {
  test('begins a release where its live changed, ends it when it is changed back, and begins another for a third', async () => {
    const { releases } = await serving()
    expect(releases.preview(wishesOf(newOne)).changes).toEqual([{ model: coder, what: 'a release begins: v1 → v2' }])
    expect(releases.all()).toEqual([])
    await releases.follow(wishesOf(newOne))
    expect(releases.all()).toMatchObject([{ to: newOne, origin: { kind: 'spec' } }])
    await releases.follow(wishesOf(thirdOne))
    expect(releases.all()).toMatchObject([{ from: oldOne, to: thirdOne }])
    await releases.follow(wishesOf(oldOne))
    expect(releases.all()).toEqual([])
    expect(releases.diverged()).toEqual([])
  })

  test('that was tried in vain is told apart from what is served, and is not tried again by itself', async () => {
    const { releases, look } = await serving()
    await releases.follow(wishesOf(newOne))
    await releases.abort(coder, anna)
    await releases.follow(wishesOf(newOne))
    expect(releases.all()).toEqual([])
    expect(releases.diverged()).toEqual([{ model: coder, why: expect.stringContaining('release start coder v2') }])
    expect(await look()).toBe('over')
  })

  test('without a policy is served at once', async () => {
    const { releases, store } = await serving()
    await releases.follow(wishesOf(newOne, { policy: null }))
    expect(releases.states().get(coder)).toEqual({ live: newOne, release: null })
    expect(store.log).toEqual([`real ${newOne}`])
  })

  test('that lost the version that answers is refused', async () => {
    const { releases } = await serving()
    expect(releases.problems(wishesOf(newOne, { versions: new Set([newOne]) }))).toEqual([
      expect.stringMatching(/v1 answers for coder until another one has proved itself/),
    ])
  })
})

const served = {
  ...{ step: 1, arm: 'candidate' as const, unit: 'u', failed: false, cancelled: false },
  ...{ stratum: 's', firstTokenMs: 1, perTokenMs: 1 },
}
