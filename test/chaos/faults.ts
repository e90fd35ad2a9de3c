/** What can be broken: each fault breaks one thing for a while and mends it again. */
import { writeFileSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import type { BehaviourChange } from '../../tools/fake-engine/index.ts'
import type { EngineProcess } from './engine-process.ts'
import { killRole, pidOf, type Role } from './processes.ts'
import type { Postgres } from '../support/postgres.ts'
import type { Redis } from '../support/redis.ts'
import type { SmallDisk } from './small-disk.ts'

/** What a fault did, by the wall clock, as the journal tells time. */
export type Injected = {
  name: string
  /** The replica or role that it struck. */
  struck: string
  from: number
  until: number
  /** Requests that the struck replica was given from ten seconds after it hung on; `null`: it did not hang. */
  givenWhileHung: string[] | null
}

export type World = {
  home: string
  /** `null`: mounting is not allowed here. */
  disk: SmallDisk | null
  /** Where limits are shared; `null`: they are counted in the gateway. */
  redis: Redis | null
  /** Where keys are kept; `null`: in a file. */
  postgres: Postgres | null
  /** What `shift-clock.ts` reads. */
  clockFile: string
}
export type Fault = {
  name: string
  strikes: 'replica' | 'disk' | 'redis' | 'postgres' | Role
  inject: (world: World, engine: EngineProcess) => Promise<string[] | null>
}

const shortMs = 4_000
/** By then a hung replica must be known. */
const knownMs = 10_000
const beyondMs = 4_000
const flaps = 3
const hourMs = 3_600_000

/** Undoes every change of behaviour that a fault makes. */
const sane: BehaviourChange = {
  hang: false,
  slow: 1,
  cutAfter: null,
  cutBody: false,
  garbage: false,
  status: null,
  perPromptTokenMs: 0,
}

export const faults: readonly Fault[] = [
  replicaFault('replica-killed', async engine => {
    await engine.kill()
    await pause(shortMs)
    await engine.restart()
  }),
  {
    name: 'replica-stopped',
    strikes: 'replica',
    async inject(_, engine) {
      engine.freeze()
      await pause(knownMs + beyondMs)
      engine.thaw()
      // Whoever was given to it meanwhile is found in the journal: it could not count.
      return []
    },
  },
  {
    name: 'replica-hung',
    strikes: 'replica',
    async inject(_, engine) {
      await engine.behave({ hang: true })
      await pause(knownMs)
      const before = (await engine.state()).received
      await pause(beyondMs)
      const { received, lastRequests } = await engine.state()
      // Whoever runs it starts it again; one that comes back by itself is `replica-stopped`.
      await engine.restart()
      const late = received === before ? [] : lastRequests.slice(-(received - before))
      return late.map(({ headers }) => String(headers['x-request-id'])).filter(id => id !== 'holdfast-canary')
    },
  },
  behaving('replica-slow', { slow: 20 }),
  behaving('replica-cutting', { cutAfter: 3, cutBody: true }),
  behaving('replica-garbage', { garbage: true }),
  behaving('replica-failing', { status: 500 }),
  replicaFault('replica-flapping', async engine => {
    for (let flap = 0; flap < flaps; flap++) {
      await engine.kill()
      await engine.restart()
      await pause(shortMs / flaps)
    }
  }),
  // The load's long prompts have 480 words: about 25 s until their first token.
  behaving('long-prefill', { perPromptTokenMs: 52 }, 30_000),
  ...(['gateway', 'controller', 'agent'] as const).map(role => ({
    name: `${role}-killed`,
    strikes: role,
    inject: async ({ home }: World) => {
      await killRole(home, role)
      return null
    },
  })),
  ...(['gateway', 'controller'] as const).flatMap(role => [
    clockFault(`${role}-clock-forward`, role, hourMs),
    clockFault(`${role}-clock-back`, role, -hourMs),
  ]),
  {
    name: 'disk-full',
    strikes: 'disk',
    async inject({ disk }) {
      disk?.fill()
      await pause(shortMs)
      disk?.free()
      return null
    },
  },
  {
    name: 'redis-killed',
    strikes: 'redis',
    async inject({ redis }) {
      await redis?.kill()
      await pause(shortMs)
      await redis?.restart()
      return null
    },
  },
  {
    name: 'redis-stopped',
    strikes: 'redis',
    async inject({ redis }) {
      redis?.hang()
      await pause(shortMs)
      redis?.resume()
      return null
    },
  },
  {
    name: 'postgres-killed',
    strikes: 'postgres',
    async inject({ postgres }) {
      await postgres?.stop('SIGQUIT')
      await pause(shortMs)
      await postgres?.start()
      return null
    },
  },
]

/** It jumps, and jumps back. */
function clockFault(name: string, role: Role, byMs: number): Fault {
  return {
    name,
    strikes: role,
    async inject({ home, clockFile }) {
      for (const shift of [byMs, 0]) {
        writeFileSync(clockFile, String(shift))
        const pid = pidOf(home, role)
        if (pid === null) throw new Error(`no process has the role ${role}`)
        process.kill(pid, 'SIGUSR2')
        await pause(shift === 0 ? 0 : shortMs)
      }
      return null
    },
  }
}

function replicaFault(name: string, strike: (engine: EngineProcess) => Promise<void>): Fault {
  return { name, strikes: 'replica', inject: (_, engine) => strike(engine).then(() => null) }
}

function behaving(name: string, change: BehaviourChange, forMs = shortMs): Fault {
  return replicaFault(name, async engine => {
    await engine.behave(change)
    await pause(forMs)
    await engine.behave(sane)
  })
}
