/** What a gateway knows: its snapshot and access table, in memory and on disk, and how fresh they are. */
import {
  applyChanges,
  buildAccessTable,
  toAccessImage,
  type AccessTable,
  type NumberedChange,
} from '../domain/access/index.ts'
import { completeSnapshot, type GatewayFrame, type Snapshot, type Spend } from '../domain/serving/index.ts'
import type { GatewayDisk } from '../adapters/link/index.ts'

export type GatewayState = ReturnType<typeof openGatewayState>

export type StateParts = {
  disk: GatewayDisk
  onSnapshot: (snapshot: Snapshot) => void
  /** How many gateways serve now, this one among them. */
  onPeers: (gateways: number) => void
  onSpend: (spend: Spend[]) => void
  /** The wall clock, for periods. */
  now: () => number
  /** Milliseconds of a clock that no one sets, for how long nothing was heard. */
  elapsed: () => number
}

/** Starts from the disk. */
export function openGatewayState({ disk, onSnapshot, onPeers, onSpend, now, elapsed }: StateParts) {
  let snapshot = toWhole(disk.snapshot())
  let savedSnapshot = snapshot?.id ?? null
  let access = fromDisk()
  /** What is held has a hole, or is not on the disk: it goes on being served, and everything is asked for anew. */
  let broken = false
  let connected = false
  let lastHeard = elapsed()
  /** Why the controller wants nothing more of this gateway. */
  let dismissed: string | null = null
  const spend = openSpendMemory(disk)
  /** What the disk was when it was read; `null`: another gateway does not write there. */
  let following: string | null = null
  if (snapshot !== null) onSnapshot(snapshot)
  if (spend.known.length > 0) onSpend(spend.known)

  function fromDisk(): AccessTable | null {
    const saved = disk.access()
    if (saved === null) return null
    const table = buildAccessTable(saved.image)
    applyChanges(table, saved.changes)
    return table
  }

  /**
   * In force first, then on disk; `true` when there is something to acknowledge. Throws at a hole, and when
   * the disk refuses, so that the link begins anew.
   */
  function take(frame: GatewayFrame): boolean {
    lastHeard = elapsed()
    switch (frame.type) {
      case 'beat':
        return false
      case 'peers':
        onPeers(frame.gateways)
        return false
      case 'spend':
        onSpend(frame.spend)
        spend.keep(frame.spend, now())
        return false
      case 'snapshot':
        snapshot = toWhole(frame.snapshot)
        onSnapshot(snapshot)
        disk.saveSnapshot(snapshot)
        savedSnapshot = snapshot.id
        return true
      case 'access':
        access = buildAccessTable(frame.image)
        broken = true
        disk.saveAccess(frame.image)
        broken = false
        return true
      case 'changes':
        if (
          access === null ||
          broken ||
          access.epoch !== frame.epoch ||
          applyChanges(access, frame.changes) === 'hole'
        ) {
          broken = true
          throw new Error('the changes of access do not follow what is held')
        }
        broken = true
        if (frame.changes.some(isNameless) || !disk.appendChanges(frame)) disk.saveAccess(toAccessImage(access))
        broken = false
        return true
      default:
        return frame satisfies never
    }
  }

  /** What another gateway wrote meanwhile is in force here, too. */
  function reread(): void {
    const written = toWhole(disk.snapshot())
    if (written !== null && written.id !== snapshot?.id) {
      snapshot = written
      onSnapshot(written)
    }
    savedSnapshot = written?.id ?? null
    access = fromDisk() ?? access
  }

  return {
    take,
    /** Takes over from another gateway, which has written its last. */
    reread,
    /** Another gateway hears and writes from now on; this one keeps to what is on the disk. */
    follow(): void {
      following = disk.stamp()
    },
    complete: (): boolean => snapshot !== null && access !== null,
    snapshot(): Snapshot {
      if (snapshot === null) throw new Error('this gateway has no snapshot yet')
      return snapshot
    },
    access(): AccessTable {
      if (following !== null) {
        const stamp = disk.stamp()
        if (stamp !== following) reread()
        following = stamp
      }
      if (access === null) throw new Error('this gateway has no access image yet')
      return access
    },
    /** What the controller need not say again. */
    held: (): { epoch: string | null; seq: number; snapshot: string | null } => ({
      epoch: broken ? null : (access?.epoch ?? null),
      seq: broken ? 0 : (access?.seq ?? 0),
      snapshot: savedSnapshot,
    }),
    linked(): void {
      connected = true
      dismissed = null
      lastHeard = elapsed()
    },
    cut(): void {
      connected = false
    },
    connected: (): boolean => connected,
    /** From the controller itself: nothing is served any more. */
    dismiss(why: string): void {
      dismissed = why
    },
    stale(): string | null {
      if (dismissed !== null) return dismissed
      if (connected || snapshot === null) return null
      const cutMs = elapsed() - lastHeard
      if (cutMs <= snapshot.maxStale) return null
      return `this gateway has heard nothing from its controller for ${Math.round(cutMs / 1000)} s, longer than gateway.maxStale allows`
    },
  }
}

/**
 * What was told of spending, so that a gateway that starts while its controller is away does not begin with nothing spent. What
 * was its own before is others' now: it counts its own from 0.
 */
function openSpendMemory(disk: Pick<GatewayDisk, 'spend' | 'saveSpend'>) {
  const known = disk.spend().map(each => ({ ...each, own: 0 }))
  const latest = new Map(known.map(each => [placeOf(each), each]))
  return {
    known,
    keep(told: readonly Spend[], now: number): void {
      for (const each of told) latest.set(placeOf(each), each)
      for (const [place, { period, every }] of latest) if (period + 2 * every < now) latest.delete(place)
      try {
        disk.saveSpend([...latest.values()])
      } catch {
        // A full disk is told of by what must be on it; this is in force all the same.
      }
    },
  }
}

const placeOf = ({ all: _all, own: _own, ...place }: Spend): string => JSON.stringify(place)

const toWhole = <S extends Snapshot | null>(written: S): S | Snapshot =>
  written === null ? written : completeSnapshot(written)

/** A key that ended and says nothing of anybody: perhaps somebody was erased, and earlier changes on the disk name them. */
const isNameless = ({ change }: NumberedChange): boolean =>
  'key' in change && change.key.revokedAt !== null && change.key.alias === null && change.key.owner === null
