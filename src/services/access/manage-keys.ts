/** Keys: made, changed, rotated, blocked, revoked. Every change is durable first, then told to the gateways, then answered. */
import {
  checkKeyFormat,
  keyRandomBytes,
  keyStatus,
  makeKey,
  maskKey,
  parseNetwork,
  randomBase62,
} from '../../domain/access/index.ts'
import type { InForce, Key, Owner, RouteScope, Secret } from '../../domain/access/index.ts'
import { FaultError } from '../../domain/fault.ts'
import { instant, keyId } from '../../domain/units.ts'
import type { Instant, Millis, ModelName, TeamName } from '../../domain/units.ts'
import type { AccessParts } from './access-parts.ts'
import { warnOfKey } from './access-parts.ts'
import { hashKey } from './hash-key.ts'
import type { InTurn } from './in-turn.ts'
import { setBounds } from './set-bounds.ts'
import type { BoundChanges } from './set-bounds.ts'

/** `limits`, `budget`: left out, none but its team's. */
export type NewKey = BoundChanges & {
  alias: string | null
  team: TeamName | null
  /** Left out: nobody in particular. */
  owner?: Owner | null
  models: ModelName[] | null
  /** Left out: every route. */
  routes?: RouteScope[] | null
  /** Left out: from anywhere. */
  addresses?: string[] | null
  /** When it ends: `null` never. */
  expires: { in: Millis } | { at: Instant } | null
  metadata: Record<string, unknown>
  /** A key brought from elsewhere; `null`: make one. */
  secret: string | null
}

/** What is left out stays as it is, single limits too; null takes a bound away. `metadata` is replaced whole. */
export type KeyChanges = BoundChanges & {
  [Field in 'alias' | 'team' | 'owner' | 'models' | 'routes' | 'addresses' | 'expires' | 'metadata']?:
    | NewKey[Field]
    | undefined
}

export type ChangedKey = { key: Key; inForce: InForce; warnings: string[] }
/** `secret` is the whole key: shown in this answer, kept nowhere. */
export type BornKey = ChangedKey & { secret: string }

export interface Keys {
  /** Throws FaultError `request-invalid` (unknown team, bad alias, end, bound or secret) or `conflict` (alias or secret taken). */
  create(ask: NewKey): Promise<BornKey>
  /** A new secret; the old ones go on for `grace`. `ref` is an id or an alias. Throws `not-found`, or `conflict` for an ended key. */
  rotate(ref: string, options: { grace: Millis }): Promise<BornKey & { previousValidUntil: Instant }>
  /**
   * Throws `not-found`, `request-invalid` as `create` does, or `conflict` for a revoked key: nothing brings one back.
   * A key that has expired opens again when its end is moved.
   */
  update(ref: string, changes: KeyChanges): Promise<ChangedKey>
  /** Refused until unblocked. Throws `not-found`, or `conflict` for a revoked key. Blocking again changes nothing. */
  block(ref: string): Promise<ChangedKey>
  /** Throws `not-found`, or `conflict` for a revoked key. A key that is not blocked stays as it is. */
  unblock(ref: string): Promise<ChangedKey>
  /** Throws `not-found`. Revoking again changes nothing, and tells again who has it in force. */
  revoke(ref: string): Promise<ChangedKey>
  /** All of them or none: an unknown one is `not-found` and nothing is revoked. */
  revokeAll(refs: readonly string[]): Promise<{ keys: Key[]; inForce: InForce }>
  get(ref: string): Promise<Key>
  list(): Promise<Key[]>
}

/** Secrets that ended this long ago are forgotten at the next rotation; until then they say `expired`, not `unknown`. */
const endedSecretsKept = 30 * 86_400_000
const broughtKeyForm = /^[\x21-\x7e]{20,512}$/
const nameForm = /^[^\s\p{C}](?:[^\p{C}]{0,126}[^\s\p{C}])?$/u
const keyIdForm = /^key_[0-9A-Za-z]{16}$/

export function manageKeys(parts: AccessParts, turn: InTurn): Keys {
  const { store, publisher, now, randomBytes } = parts

  async function find(ref: string): Promise<Key> {
    const key = (await store.key(keyId(ref))) ?? (await store.keyByAlias(ref))
    // A secret sent where an id belongs must not come back in an error.
    if (key === null)
      throw new FaultError({ kind: 'not-found', what: 'key', name: ref.startsWith('sk-') ? maskKey(ref) : ref })
    return key
  }

  /** `find`, and else a revoked key by its alias, so that revoking twice by alias says the same twice. */
  async function findAny(ref: string): Promise<Key> {
    const living = (await store.key(keyId(ref))) ?? (await store.keyByAlias(ref))
    if (living !== null) return living
    return (await store.keys()).findLast(key => key.alias === ref) ?? find(ref)
  }

  function newSecret(brought: string | null): string {
    if (brought === null) return makeKey(randomBytes(keyRandomBytes))
    if (!broughtKeyForm.test(brought))
      invalid('key', 'A key brought from elsewhere has 20 to 512 visible ASCII characters without spaces.')
    if (checkKeyFormat(brought) !== 'foreign')
      invalid('key', 'Keys that start with sk-hf- are made here: leave the key out to get one.')
    if (hashKey(brought) === parts.adminHash)
      throw new FaultError({ kind: 'conflict', problem: 'This is the admin key; it cannot be a key as well.' })
    return brought
  }

  function endOf(expires: NewKey['expires'], from: Instant): Instant | null {
    if (expires === null) return null
    const end = 'at' in expires ? expires.at : instant(from + expires.in)
    if (end <= from)
      invalid('expires', 'The key would have expired already. Give a moment to come, or a duration such as 30d.')
    return end
  }

  async function checkTeam(team: TeamName | null): Promise<void> {
    if (team === null || (await store.team(team)) !== null) return
    invalid(
      'team',
      `There is no team '${team}'. Create it first (holdfast team create ${team}), or leave the team out.`,
    )
  }

  /** One change of a living key; `null` from `toChanged`: it stays as it is. */
  async function change(ref: string, toChanged: (key: Key) => Key | null | Promise<Key | null>): Promise<ChangedKey> {
    const { key, changes } = await turn(async () => {
      const found = await findAny(ref)
      if (found.revokedAt !== null)
        throw new FaultError({
          kind: 'conflict',
          problem: 'This key was revoked, and nothing brings it back. Create a new one.',
        })
      const key = await toChanged(found)
      return { key: key ?? found, changes: key === null ? [] : await store.commit([{ put: 'key', key }]) }
    })
    return { key, inForce: await publisher.publish(changes), warnings: [] }
  }

  return {
    async create(ask) {
      checkBounds(ask)
      const createdAt = now()
      const secret = newSecret(ask.secret)
      const key: Key = {
        id: keyId(`key_${randomBase62(randomBytes(keyRandomBytes), 16)}`),
        alias: ask.alias,
        team: ask.team,
        owner: ask.owner ?? null,
        models: ask.models,
        routes: ask.routes ?? null,
        addresses: ask.addresses ?? null,
        secrets: [{ hash: hashKey(secret), validUntil: null }],
        createdAt,
        expiresAt: endOf(ask.expires, createdAt),
        blockedAt: null,
        revokedAt: null,
        ...setBounds(parts, {}, ask),
        metadata: ask.metadata,
      }
      const changes = await turn(async () => {
        await checkTeam(ask.team)
        return store.commit([{ put: 'key', key }])
      })
      return { key, secret, inForce: await publisher.publish(changes), warnings: warnOfKey(parts, key) }
    },

    async rotate(ref, { grace }) {
      const { key, secret, changes, previousValidUntil } = await turn(async () => {
        const found = await find(ref)
        const at = now()
        const status = keyStatus(found, at)
        // A blocked key may get a new secret: that is how a leak ends well.
        if (status !== 'active' && status !== 'blocked') {
          throw new FaultError({
            kind: 'conflict',
            problem: `This key is ${status}, and rotating would not bring it back. Create a new one.`,
          })
        }
        const secret = newSecret(null)
        const until = instant(at + grace)
        const key = {
          ...found,
          secrets: [{ hash: hashKey(secret), validUntil: null }, ...endBy(found.secrets, { until, now: at })],
        }
        const previousValidUntil = instant(Math.min(until, found.expiresAt ?? until))
        return { key, secret, previousValidUntil, changes: await store.commit([{ put: 'key', key }]) }
      })
      return { key, secret, previousValidUntil, inForce: await publisher.publish(changes), warnings: [] }
    },

    async update(ref, { expires, limits, budget, ...fields }) {
      checkBounds(fields)
      const changed = await change(ref, async found => {
        if (fields.team !== undefined) await checkTeam(fields.team)
        const given = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
        const { limits: _limits, budget: _budget, ...rest } = found
        const bounds = setBounds(parts, found, { limits, budget })
        const end = expires === undefined ? {} : { expiresAt: endOf(expires, now()) }
        return { ...rest, ...given, ...bounds, ...end }
      })
      return { ...changed, warnings: warnOfKey(parts, changed.key) }
    },

    block: ref => change(ref, key => (key.blockedAt === null ? { ...key, blockedAt: now() } : null)),
    unblock: ref => change(ref, key => (key.blockedAt === null ? null : { ...key, blockedAt: null })),

    async revoke(ref) {
      const { key, changes } = await turn(async () => {
        const found = await findAny(ref)
        if (found.revokedAt !== null) return { key: found, changes: [] }
        const key = { ...found, revokedAt: now() }
        return { key, changes: await store.commit([{ put: 'key', key }]) }
      })
      return { key, inForce: await publisher.publish(changes), warnings: [] }
    },

    async revokeAll(refs) {
      const { keys, changes } = await turn(async () => {
        const found: Key[] = []
        for (const ref of refs) found.push(await findAny(ref))
        const at = now()
        const keys = found.map(key => ({ ...key, revokedAt: key.revokedAt ?? at }))
        const ids = new Set(found.filter(key => key.revokedAt === null).map(key => key.id))
        const changed = keys.filter(key => ids.delete(key.id))
        return {
          keys,
          changes: changed.length === 0 ? [] : await store.commit(changed.map(key => ({ put: 'key', key }))),
        }
      })
      return { keys, inForce: await publisher.publish(changes) }
    },

    get: findAny,
    list: () => store.keys(),
  }
}

/** A6: grace never lengthens what a secret had left. */
function endBy(secrets: readonly Secret[], { until, now }: { until: Instant; now: Instant }): Secret[] {
  return secrets
    .filter(secret => secret.validUntil === null || secret.validUntil > now - endedSecretsKept)
    .map(secret => ({ ...secret, validUntil: instant(Math.min(secret.validUntil ?? until, until)) }))
}

function checkBounds({ alias, owner, addresses }: Pick<KeyChanges, 'alias' | 'owner' | 'addresses'>): void {
  if (typeof alias === 'string') checkAlias(alias)
  if (owner && !nameForm.test(owner.name))
    invalid('owner', `The name of a ${owner.kind} has 1 to 128 printable characters and no space at either end.`)
  const wrong = addresses?.find(address => parseNetwork(address) === null)
  if (wrong !== undefined)
    invalid('addresses', `'${wrong.slice(0, 60)}' is no IP address or network. Write 10.0.0.5, 10.0.0.0/8 or fd00::/8.`)
}

function checkAlias(alias: string): void {
  if (!nameForm.test(alias)) invalid('alias', 'An alias has 1 to 128 printable characters and no space at either end.')
  if (keyIdForm.test(alias))
    invalid('alias', 'This alias has the form of a key id, so the two could be mistaken for each other.')
  if (alias.startsWith('sk-'))
    invalid(
      'alias',
      'This alias looks like a key. Aliases are shown in lists and logs, so a key does not belong there.',
    )
}

function invalid(param: string, problem: string): never {
  throw new FaultError({ kind: 'request-invalid', param, problem })
}
