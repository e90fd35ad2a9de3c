/** Verification: whether an epoch still says what its writer wrote. Rules J6 to J12 and J19 to J22 of SPEC.md. */
import type { ActId } from '../units.ts'
import type { Removal } from './audit.ts'
import { genesis, isBlock, parseBlock, parseErased, seal } from './chain.ts'
import type { Digest, Head, LineDigest, NewDigest } from './chain.ts'
import { coverOf } from './erasure.ts'
import type { Cover } from './erasure.ts'
import type { Anchor, Line } from './ports.ts'
import type { BlockRecord, ErasedRecord, JournalRecord } from './record.ts'

/** `line` counts from 1 within the segment; 0 where there is no line to name. */
export type Broken = {
  result: 'broken'
  epoch: string
  segment: number
  line: number
  what:
    | 'edited'
    | 'cut'
    | 'rewritten'
    | 'reordered'
    | 'missing-segment'
    | 'missing-epoch'
    | 'torn'
    | 'forged'
    | 'restored'
  detail: string
}
/** The tombstones of one act in one segment. `line`: the first of them. */
export type Tombstones = Cover & { line: number }

/** `unsealed` lines at the end of a live epoch wait for their block. */
export type Intact = {
  result: 'intact'
  epoch: string
  blocks: number
  lines: number
  unsealed: number
  ended: boolean
  /** The last block. */
  head: Head
  /** The last segment that retention took away: the chain was taken up behind it. `null`: none. */
  removed: number | null
  tombstones: Tombstones[]
  /** Covers that sealed acts in this epoch say. */
  covers: Cover[]
}
export type Verification = Intact | Broken

export type Verifier = {
  /** Takes the epoch's lines in order. Answers the first thing found broken; nothing more need be handed in then. */
  line(line: Line, segment: number): Broken | null
  segmentMissing(segment: number): Broken | null
  /** Bytes without a newline at the end of `segment`. Only a live epoch's last segment may have them. */
  torn(segment: number, last: boolean): Broken | null
  finish(): Verification
}

export type VerifierParts = {
  epoch: string
  newDigest: NewDigest
  digestOf: LineDigest
  parse: (text: string) => JournalRecord | null
  anchors: readonly Anchor[]
  /** What retention took from the epoch's front; `null`: nothing. */
  removed: Removal | null
  /** A controller began this epoch: acts stand in no other. */
  mayAct: boolean
}

const actStart = '{"t":"act",'

/**
 * Goes along an epoch's chain, holding it against the epoch's anchors. Memory grows with the acts of erasure in it only.
 * Whether tombstones are covered is for whoever knows all epochs.
 */
export function openVerifier({ epoch, newDigest, digestOf, parse, anchors, removed, mayAct }: VerifierParts): Verifier {
  const behind = removed?.segment ?? 0
  const anchored = new Map(anchors.filter(anchor => anchor.segment > behind).map(anchor => [anchor.n, anchor]))
  let head: Head = removed ? { n: removed.n, hash: removed.hash } : genesis(epoch, newDigest)
  /** Of the lines themselves, for blocks of the first form; of their digests, for those since. */
  let raw: Digest = newDigest()
  let digest: Digest = newDigest()
  let segment = behind + 1
  let line = 0
  let sealed = 0
  let unsealed = 0
  let ended = false
  /** A block that stands too far on: whether the missing one follows later tells a cut from a reordering. */
  let skipped: { wanted: number; at: Broken } | null = null
  const tombstones: Tombstones[] = []
  let open = new Map<ActId, { line: number; lines: number; digest: Digest }>()
  const covers: Cover[] = []
  let unsealedCovers: Cover[] = []

  const broken = (what: Broken['what'], detail: string): Broken => ({
    result: 'broken',
    epoch,
    segment,
    line,
    what,
    detail,
  })
  const sealedLines = (): string => (unsealed === 1 ? `line ${line - 1}` : `lines ${line - unsealed} to ${line - 1}`)

  function checkBlock(text: string): Broken | null {
    const block = parseBlock(text)
    if (!block) return broken('edited', 'The line is not a block as the gateway writes it.')
    if (block.n > head.n + 1) {
      skipped = {
        wanted: head.n + 1,
        at: broken('cut', `Block ${block.n} follows block ${head.n}: what was between is gone.`),
      }
      return null
    }
    if (block.n <= head.n) return broken('reordered', `Block ${block.n} stands after block ${head.n}.`)
    if (block.segment !== segment)
      return broken('reordered', `Block ${block.n} was written in segment ${block.segment}.`)
    if (block.prev !== head.hash) return broken('rewritten', `Block ${block.n} does not follow from block ${head.n}.`)
    return checkHash(block) ?? checkAnchor(block)
  }

  function checkHash(block: BlockRecord): Broken | null {
    if (seal(block.v === 2 ? digest : raw, block).hash === block.hash) return null
    if (unsealed < block.lines)
      return broken('cut', `Block ${block.n} seals ${block.lines} lines; ${unsealed} are left.`)
    if (unsealed > block.lines)
      return broken('edited', `Block ${block.n} seals ${block.lines} lines; there are ${unsealed}.`)
    return broken(
      'edited',
      `Block ${block.n} does not match: ${unsealed === 0 ? 'its own line' : sealedLines()} changed or moved.`,
    )
  }

  function checkAnchor(block: BlockRecord): Broken | null {
    const anchor = anchored.get(block.n)
    anchored.delete(block.n)
    if (anchor && anchor.hash !== block.hash) {
      return broken(
        'rewritten',
        `Block ${block.n} is not the one the controller saw: it, or one since the anchor before, was written anew.`,
      )
    }
    head = { n: block.n, hash: block.hash }
    raw = newDigest()
    digest = newDigest()
    covers.push(...unsealedCovers)
    unsealedCovers = []
    sealed += unsealed
    unsealed = 0
    ended = block.end === true
    return null
  }

  function enter(next: number): Broken | null {
    if (next === segment) return null
    if (unsealed > 0) return broken('cut', `Segment ${segment} ends in ${unsealed} lines without their block.`)
    endTombstones()
    segment = next
    line = 0
    return null
  }

  function endTombstones(): void {
    for (const [act, { line: first, lines, digest: of }] of open)
      tombstones.push({ act, epoch, segment, line: first, lines, digest: of.hex() })
    open = new Map()
  }

  function takeErased({ digest: of, by }: ErasedRecord): void {
    const group = open.get(by) ?? { line, lines: 0, digest: newDigest() }
    group.lines++
    group.digest.update(of)
    open.set(by, group)
    digest.update(of)
  }

  function takeAct(text: string): Broken | null {
    if (!mayAct) return broken('forged', 'An act stands in an epoch that no controller began.')
    const record = parse(text)
    const cover = record?.t === 'act' ? coverOf(record) : null
    if (cover) unsealedCovers.push(cover)
    return null
  }

  function notReached(): Broken | null {
    const [first] = [...anchored.values()].sort((a, b) => a.n - b.n)
    if (!first) return null
    const lastRead = line === 0 ? segment - 1 : segment
    if (first.segment > lastRead) {
      return {
        ...broken('missing-segment', `Segment ${first.segment}, with block ${first.n}, is gone or empty.`),
        segment: first.segment,
        line: 0,
      }
    }
    return broken('cut', `The epoch ends with block ${head.n}; the controller saw block ${first.n}.`)
  }

  return {
    line({ text, bytes }, inSegment) {
      if (skipped) {
        const { wanted, at } = skipped
        return isBlock(text) && parseBlock(text)?.n === wanted
          ? { ...at, what: 'reordered', detail: `Block ${wanted} stands after a later block.` }
          : null
      }
      const apart = enter(inSegment)
      if (apart) return apart
      line++
      if (ended) return broken('edited', 'Something was added after the end of the epoch.')
      if (isBlock(text)) return checkBlock(text)
      unsealed++
      raw.update(bytes)
      const erased = parseErased(text)
      if (erased) takeErased(erased)
      else digest.update(digestOf(bytes))
      return text.startsWith(actStart) ? takeAct(text) : null
    },
    segmentMissing(missing) {
      if (skipped) return skipped.at
      return {
        ...broken('missing-segment', `Segment ${missing} is gone, and a later one is there.`),
        segment: missing,
        line: 0,
      }
    },
    torn(inSegment, last) {
      if (skipped || (last && !ended)) return null
      return enter(inSegment) ?? { ...broken('torn', 'The last line has no end.'), line: line + 1 }
    },
    finish() {
      const wrong = skipped?.at ?? notReached()
      if (wrong) return wrong
      endTombstones()
      return {
        result: 'intact',
        epoch,
        blocks: head.n,
        lines: sealed + unsealed,
        unsealed,
        ended,
        head,
        removed: removed?.segment ?? null,
        tombstones,
        covers,
      }
    },
  }
}
