import fc from 'fast-check'
import { expect, test } from 'vitest'
import { openFairQueue, weightOf } from '../../domain/admission/index.ts'
import type { Priority } from '../../domain/access/index.ts'
import { FaultError } from '../../domain/fault.ts'
import { millis, modelName, versionName } from '../../domain/units.ts'
import { openAdmission, type Capacity, type Place, type PlaceAsk, type Waiting } from './queue.ts'

const version = versionName('dev-v1.0-tiny-q8-0-p0')

/** Time that stands still until it is told to pass; timers ring then, in order. */
function openClock() {
  let time = 1_000
  let timers: { at: number; fire: () => void }[] = []
  return {
    now: () => millis(time),
    setTimer: (after: number, fire: () => void) => {
      const timer = { at: time + after, fire }
      timers.push(timer)
      return () => {
        timers = timers.filter(other => other !== timer)
      }
    },
    timers: () => timers.length,
    pass: (ms: number) => {
      const until = time + ms
      for (;;) {
        const next = timers.toSorted((a, b) => a.at - b.at)[0]
        if (next === undefined || next.at > until) break
        timers = timers.filter(other => other !== next)
        time = Math.max(time, next.at)
        next.fire()
      }
      time = until
    },
  }
}

function open(capacity: Capacity) {
  const clock = openClock()
  const admission = openAdmission({ capacityOf: () => capacity, ...clock })
  const ask = (change: Partial<PlaceAsk> = {}): PlaceAsk => ({
    version,
    model: modelName('tiny'),
    queue: { waiting: 10, deadline: millis(30_000) },
    owner: 'ana',
    priority: 'normal',
    ...change,
  })
  const enter = (change: Partial<PlaceAsk> = {}) => admission.enter(ask(change))
  return {
    ...admission,
    ...clock,
    capacity,
    enter,
    place: (change: Partial<PlaceAsk> = {}): Place => asPlace(enter(change)),
    wait: (change: Partial<PlaceAsk> = {}) => watch(asWaiting(enter(change))),
    become: (next: Partial<Capacity>): void => {
      Object.assign(capacity, next)
      admission.changed(version)
    },
    running: (): number => admission.counts().reduce((sum, { running }) => sum + running, 0),
  }
}

type Entered = Place | 'none' | Waiting
const isWaiting = (entered: Entered): entered is Waiting => entered !== 'none' && 'promise' in entered
function asPlace(entered: Entered | Awaited<Waiting['promise']>): Place {
  if (entered === 'none' || 'promise' in entered) throw new TypeError('no place')
  return entered
}
function asWaiting(entered: Entered): Waiting {
  if (!isWaiting(entered)) throw new TypeError('it does not wait')
  return entered
}

/** `end`: how its wait ended, `null` while it lasts. */
function watch({ promise, cancel }: Waiting) {
  const waiter = { end: null as Place | 'none' | Error | null, cancel: () => cancel(new Error('left')) }
  promise.then(
    place => (waiter.end = place),
    (error: Error) => (waiter.end = error),
  )
  return waiter
}
/** Everything that was resolved has been heard of. */
const settle = (): Promise<void> => new Promise(resolve => setImmediate(resolve))
const faultOf = (end: unknown): unknown => (end instanceof FaultError ? end.fault : end)
function thrown(run: () => unknown): unknown {
  try {
    return run()
  } catch (error) {
    return faultOf(error)
  }
}

test('E1 a free place is given at once, and not as a promise', () => {
  const { place, running, waiting, timers } = open({ places: 2, mayGrow: false })
  expect(place().waitedMs).toBe(0)
  place()
  expect([running(), waiting(), timers()]).toEqual([2, 0, 0])
})

test('E1 unbounded places are given to all', () => {
  const { place, running } = open({ places: Infinity, mayGrow: false })
  const places = Array.from({ length: 1_000 }, () => place())
  expect(running()).toBe(1_000)
  for (const each of places) each.release()
  expect(running()).toBe(0)
})

test('E1 nobody overtakes those who wait, though nobody said that there is more room', async () => {
  const gateway = open({ places: 1, mayGrow: false })
  gateway.place()
  const first = gateway.wait({ owner: 'ana' })
  gateway.capacity.places = 2
  const second = gateway.wait({ owner: 'ben' })
  await settle()
  expect(asPlace(first.end as Place).waitedMs).toBe(0)
  expect(second.end).toBeNull()
})

test('E1 places go round between owners, and who waited is told how long', async () => {
  const { place, wait, pass } = open({ places: 1, mayGrow: false })
  let held = place({ owner: 'ana' })
  let waiters = ['ana', 'ana', 'ben', 'cyd'].map(owner => ({ owner, waiter: wait({ owner }) }))
  const served: [string, number][] = []
  while (waiters.length > 0) {
    pass(100)
    held.release()
    await settle()
    const [next, ...others] = waiters.filter(({ waiter }) => waiter.end !== null)
    expect(others).toEqual([])
    held = asPlace(next!.waiter.end as Place)
    served.push([next!.owner, held.waitedMs])
    waiters = waiters.filter(each => each !== next)
  }
  expect(served).toEqual([
    ['ben', 100],
    ['cyd', 200],
    ['ana', 300],
    ['ana', 400],
  ])
})

test('E2 less room cuts nothing and lets nobody in; more room wakes as many as fit', async () => {
  const { place, wait, become, running, waiting } = open({ places: 3, mayGrow: false })
  const held = [place(), place(), place()]
  const waiters = Array.from({ length: 5 }, (_, index) => wait({ owner: `key ${index}` }))
  become({ places: 1 })
  held[0]?.release()
  held[1]?.release()
  await settle()
  expect([running(), waiting()]).toEqual([1, 5])
  become({ places: 4 })
  await settle()
  expect([running(), waiting()]).toEqual([4, 2])
  expect(waiters.map(({ end }) => end !== null)).toEqual([true, true, true, false, false])
})

test('E3 a place given back twice is given back once', async () => {
  const { place, wait, running } = open({ places: 1, mayGrow: false })
  const held = place()
  const [first, second] = [wait(), wait()]
  held.release()
  held.release()
  await settle()
  expect([first.end === null, second.end === null, running()]).toEqual([false, true, 1])
})

test('E3 who leaves gives its turn to the next, and leaving after that takes nothing away', async () => {
  const { place, wait, running } = open({ places: 1, mayGrow: false })
  const held = place()
  const [first, second] = [wait(), wait()]
  first.cancel()
  held.release()
  second.cancel()
  await settle()
  expect(first.end).toEqual(new Error('left'))
  expect(running()).toBe(1)
  asPlace(second.end as Place).release()
  expect(running()).toBe(0)
})

test('E4 a queue that is full refuses the newcomer, when it is the last in fair order', () => {
  const { place, wait, enter, waiting } = open({ places: 1, mayGrow: false })
  place({ owner: 'eve' })
  for (const owner of ['ana', 'ben']) wait({ owner, queue: { waiting: 2, deadline: millis(30_000) } })
  const refused = thrown(() => enter({ owner: 'cyd', queue: { waiting: 2, deadline: millis(30_000) } }))
  expect(refused).toEqual({ kind: 'queue-full', model: 'tiny', waiting: 2, retryAfter: 30_000 })
  expect(waiting()).toBe(2)
})

test('E4 one who fills the queue does not keep the others out of it', async () => {
  const { place, wait, waiting } = open({ places: 1, mayGrow: false })
  place({ owner: 'ana' })
  const flood = Array.from({ length: 10 }, () => wait({ owner: 'ana' }))
  const other = wait({ owner: 'ben' })
  await settle()
  expect(other.end).toBeNull()
  expect(waiting()).toBe(10)
  expect(flood.map(({ end }) => end === null)).toEqual([...Array.from({ length: 9 }, () => true), false])
  expect(faultOf(flood[9]?.end)).toMatchObject({ kind: 'queue-full', waiting: 10 })
})

test('E4 a high priority takes the last place of a low one, and not the other way round', async () => {
  const { place, wait, enter } = open({ places: 1, mayGrow: false })
  place()
  const queue = { waiting: 1, deadline: millis(30_000) }
  const low = wait({ owner: 'ana', priority: 'low', queue })
  const high = wait({ owner: 'ben', priority: 'high', queue })
  expect(thrown(() => enter({ owner: 'cyd', priority: 'low', queue }))).toMatchObject({ kind: 'queue-full' })
  await settle()
  expect(faultOf(low.end)).toMatchObject({ kind: 'queue-full', waiting: 1 })
  expect(high.end).toBeNull()
})

test('E4 a model that lets fewer wait takes no place from one that lets more', async () => {
  const { place, wait, enter, waiting } = open({ places: 1, mayGrow: false })
  place({ owner: 'ana' })
  const wide = Array.from({ length: 3 }, () => wait({ owner: 'ana' }))
  const narrow = thrown(() => enter({ owner: 'ben', queue: { waiting: 2, deadline: millis(30_000) } }))
  expect(narrow).toMatchObject({ kind: 'queue-full', waiting: 2 })
  await settle()
  expect([waiting(), wide.every(({ end }) => end === null)]).toEqual([3, true])
})

test('E4 where nobody may wait, nobody does', () => {
  const { place, enter, waiting, timers } = open({ places: 1, mayGrow: false })
  place()
  const refused = thrown(() => enter({ queue: { waiting: 0, deadline: millis(30_000) } }))
  expect(refused).toMatchObject({ kind: 'queue-full', waiting: 0 })
  expect([waiting(), timers()]).toEqual([0, 0])
})

test('E5 a deadline that passes gives its place and the wait that is still expected', async () => {
  const { place, wait, pass, waiting, timers } = open({ places: 1, mayGrow: false })
  place()
  const patient = wait({ owner: 'ben' })
  const hasty = wait({ owner: 'cyd', queue: { waiting: 10, deadline: millis(2_000) } })
  pass(1_999)
  await settle()
  expect(hasty.end).toBeNull()
  pass(1)
  await settle()
  // 10 s for a request nobody has seen end, 2 s more for this one that does not, and two before it is served.
  expect(faultOf(hasty.end)).toEqual({ kind: 'queue-late', model: 'tiny', place: 2, expected: 24_000, deadline: 2_000 })
  pass(28_000)
  await settle()
  expect(faultOf(patient.end)).toMatchObject({ kind: 'queue-late', place: 1, deadline: 30_000 })
  expect([waiting(), timers()]).toEqual([0, 0])
})

test('E5 a wait that is sure to be too long is refused at once, and costs nobody a place', () => {
  const { place, wait, enter, pass, waiting } = open({ places: 1, mayGrow: false })
  for (let count = 0; count < 40; count++) {
    const held = place()
    pass(5_000)
    held.release()
  }
  place()
  for (let count = 0; count < 4; count++) wait({ queue: { waiting: 4, deadline: millis(60_000) } })
  const refused = thrown(() => enter({ owner: 'ben', queue: { waiting: 4, deadline: millis(1_000) } }))
  expect(refused).toMatchObject({ kind: 'queue-late', place: 1, deadline: 1_000 })
  expect(waiting()).toBe(4)
  const retry = refused as { expected: number }
  expect(retry.expected / 5_000).toBeCloseTo(1, 0)
})

test('E5 a deadline further off than timers reach is no busy loop', () => {
  const { place, wait, pass, waiting } = open({ places: 1, mayGrow: false })
  place()
  wait({ queue: { waiting: 1, deadline: millis(2 ** 40) } })
  pass(2 ** 40 - 1)
  expect(waiting()).toBe(1)
  pass(1)
  expect(waiting()).toBe(0)
})

test('E6 with no place and nothing to come there is none; with something to come there is a wait', async () => {
  const { enter, wait, become, waiting, counts } = open({ places: 0, mayGrow: false })
  expect(enter()).toBe('none')
  expect(counts()).toEqual([])
  become({ mayGrow: true })
  const waiter = wait()
  become({ places: 1 })
  await settle()
  expect(asPlace(waiter.end as Place).waitedMs).toBe(0)
  expect(waiting()).toBe(0)
})

test('E6 all who wait are told when nothing will come back, and work that runs is still counted', async () => {
  const { place, wait, become, waiting, counts, timers } = open({ places: 1, mayGrow: true })
  const held = place()
  const waiters = [wait(), wait(), wait({ owner: 'ben' })]
  become({ places: 0, mayGrow: false })
  await settle()
  expect(waiters.map(({ end }) => end)).toEqual(['none', 'none', 'none'])
  expect([waiting(), timers(), counts()]).toEqual([0, 0, [{ version, waiting: 0, running: 1 }]])
  held.release()
  expect(counts()).toEqual([])
})

test('E7 a place is told at the start, and each second when it has changed, by one timer for all', async () => {
  const { place, wait, pass, timers } = open({ places: 1, mayGrow: false })
  let held = place()
  const told: [string, number, number][] = []
  const waiters = ['ana', 'ben', 'cyd'].map(owner =>
    wait({ owner, onPlace: (at, expected) => told.push([owner, at, expected]) }),
  )
  // Ana had the place until now, so the others are before her.
  expect(told).toEqual([
    ['ana', 1, 10_000],
    ['ben', 1, 10_000],
    ['cyd', 2, 20_000],
  ])
  expect(timers()).toBe(1)
  told.length = 0
  pass(1_000)
  expect(told.map(([owner, at]) => [owner, at])).toEqual([['ana', 3]])
  told.length = 0
  pass(1_500)
  expect(told).toEqual([])
  held.release()
  await settle()
  held = asPlace(waiters[1]?.end as Place)
  pass(400)
  expect(told).toEqual([])
  pass(100)
  expect(told.map(([owner, at]) => [owner, at])).toEqual([
    ['cyd', 1],
    ['ana', 2],
  ])
  expect(timers()).toBe(1)
})

test('E7 newcomers each moment do not put off the telling', () => {
  const { place, wait, pass } = open({ places: 1, mayGrow: false })
  place({ owner: 'ana' })
  let told = 0
  wait({ owner: 'ana', onPlace: () => told++ })
  for (let count = 0; count < 300; count++) {
    pass(10)
    wait({ owner: `key ${count % 3}`, queue: { waiting: 400, deadline: millis(60_000) } })
  }
  // At the start, and after the first second behind three newcomers.
  expect(told).toBe(2)
})

test('E7 where nobody listens, the timer waits for the nearest deadline', () => {
  const clock = openClock()
  const afters: number[] = []
  const admission = openAdmission({
    capacityOf: () => ({ places: 0, mayGrow: true }),
    now: clock.now,
    setTimer: (after, fire) => {
      afters.push(after)
      return clock.setTimer(after, fire)
    },
  })
  const queue = { waiting: 10, deadline: millis(30_000) }
  const entered = admission.enter({ version, model: modelName('tiny'), queue, owner: 'ana', priority: 'normal' })
  asWaiting(entered).promise.catch(() => {})
  clock.pass(29_999)
  expect(afters).toEqual([30_000])
})

test('E8 a hundred thousand that wait and leave leave nothing behind', async () => {
  const { place, enter, waiting, counts, running, timers } = open({ places: 4, mayGrow: false })
  const held = [place(), place(), place(), place()]
  const count = 100_000
  const batch = 1_000
  let left = 0
  const leave = new Error('left')
  for (let round = 0; round < count / batch; round++) {
    const waiters = Array.from({ length: batch }, (_, index) => {
      const waiter = asWaiting(
        enter({
          owner: `key ${index % 50}`,
          queue: { waiting: batch, deadline: millis(30_000) },
          onPlace: () => {},
        }),
      )
      waiter.promise.catch(why => {
        if (why === leave) left++
      })
      return waiter
    })
    expect(waiting()).toBe(batch)
    for (let index = 0; index < batch; index++) waiters[(index * 7) % batch]?.cancel(leave)
    expect([waiting(), timers(), running()]).toEqual([0, 0, 4])
  }
  await settle()
  expect(left).toBe(count)
  for (const each of held) each.release()
  expect(counts()).toEqual([{ version, waiting: 0, running: 0 }])
})

const anyStep = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('enter' as const),
      owner: fc.constantFrom('ana', 'ben', 'cyd'),
      priority: fc.constantFrom<Priority>('low', 'normal', 'high'),
      deadline: fc.constantFrom(500, 3_000, 60_000),
      most: fc.constantFrom(0, 2, 6),
      listens: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('release' as const), which: fc.nat(30) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('cancel' as const), which: fc.nat(30) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.integer({ min: 1, max: 2_500 }) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('capacity' as const),
      places: fc.constantFrom(0, 1, 2, 5, Infinity),
      mayGrow: fc.boolean(),
    }),
  },
)

test('E1–E8 however requests come, leave, end and expire, no place is lost, doubled or given out of turn', async () => {
  type Member = {
    id: number
    owner: string
    priority: Priority
    most: number
    until: number
    watched: ReturnType<typeof watch> | null
  }
  await fc.assert(
    fc.asyncProperty(fc.array(anyStep, { maxLength: 60 }), async steps => {
      const gateway = open({ places: 2, mayGrow: true })
      // The model: who runs, who waits in fair order, and nothing else.
      const queue = openFairQueue<Member>()
      const held = new Map<Member, Place>()
      const given: Place[] = []
      const expected: [Member, 'place' | 'none' | 'queue-full' | 'queue-late' | 'left'][] = []
      const { capacity } = gateway

      const serve = (): void => {
        const hope = capacity.places > 0 || capacity.mayGrow
        let running = held.size + expected.filter(([, end]) => end === 'place').length
        while (queue.size() > 0 && (!hope || running < capacity.places)) {
          const member = queue.takeNext()!
          expected.push([member, hope ? 'place' : 'none'])
          if (hope) running++
        }
        if (running === 0 && queue.size() === 0) queue.rest()
      }
      const drop = (member: Member, why: 'queue-full' | 'queue-late' | 'left'): void => {
        queue.remove(member)
        expected.push([member, why])
        serve()
      }
      const hear = async (): Promise<void> => {
        await settle()
        for (const [member, end] of expected.splice(0)) {
          const real = member.watched?.end ?? null
          if (end === 'place') {
            const place = asPlace(real as Place)
            expect(given).not.toContain(place)
            given.push(place)
            held.set(member, place)
          } else if (end === 'none') expect(real).toBe('none')
          else if (end === 'left') expect(real).toEqual(new Error('left'))
          else expect(faultOf(real)).toMatchObject({ kind: end })
        }
        for (const { watched } of queue.inOrder()) expect(watched?.end).toBeNull()
        expect(gateway.waiting()).toBe(queue.size())
        expect(gateway.running()).toBe(held.size)
        expect(gateway.timers()).toBe(queue.size() > 0 ? 1 : 0)
      }

      for (const [id, step] of steps.entries()) {
        if (step.do === 'enter') {
          const member: Member = {
            id,
            owner: step.owner,
            priority: step.priority,
            most: step.most,
            until: gateway.now() + step.deadline,
            watched: null,
          }
          const claim = { owner: step.owner, weight: weightOf(step.priority), cost: 1 }
          const real = thrown(() =>
            gateway.enter({
              owner: step.owner,
              priority: step.priority,
              queue: { waiting: step.most, deadline: millis(step.deadline) },
              ...(step.listens ? { onPlace: () => {} } : {}),
            }),
          ) as Entered | { kind: string }
          if (capacity.places <= 0 && !capacity.mayGrow) expect(real).toBe('none')
          else if (queue.size() === 0 && held.size < capacity.places) {
            queue.pass(claim)
            const place = asPlace(real as Place)
            expect(given).not.toContain(place)
            given.push(place)
            held.set(member, place)
          } else {
            queue.push(member, claim)
            const over = queue.size() > step.most
            const last = queue.last()!
            const yields = over && queue.size() > last.most ? last : member
            if (over && yields === member) expect(real).toMatchObject({ kind: 'queue-full' })
            // Whether an expectation is hopeless is for pace.test.ts: here it may be.
            else if (typeof real === 'object' && 'kind' in real)
              expect(real).toMatchObject({ kind: 'queue-late', place: queue.placeOf(member) })
            if (typeof real === 'object' && 'kind' in real) queue.remove(member)
            else {
              member.watched = watch(asWaiting(real as Entered))
              if (over) drop(yields, 'queue-full')
            }
            if (queue.size() === 0 && held.size === 0) queue.rest()
          }
        }
        if (step.do === 'release') {
          const [member, place] = [...held][step.which % Math.max(1, held.size)] ?? []
          place?.release()
          place?.release()
          if (member !== undefined) held.delete(member)
          serve()
        }
        if (step.do === 'cancel') {
          const waiting = queue.inOrder()
          const member = waiting[step.which % Math.max(1, waiting.length)]
          member?.watched?.cancel()
          member?.watched?.cancel()
          if (member !== undefined) drop(member, 'left')
        }
        if (step.do === 'pass') {
          gateway.pass(step.ms)
          for (const member of queue.inOrder().filter(({ until }) => until <= gateway.now())) drop(member, 'queue-late')
        }
        if (step.do === 'capacity') {
          gateway.become({ places: step.places, mayGrow: step.mayGrow })
          serve()
        }
        await hear()
      }
      for (const { watched } of queue.inOrder()) watched?.cancel()
      for (const place of held.values()) place.release()
      await settle()
      expect([gateway.waiting(), gateway.running(), gateway.timers()]).toEqual([0, 0, 0])
    }),
    { numRuns: 300 },
  )
})
