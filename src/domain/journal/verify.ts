/** Verification: whether an epoch still says what the gateway wrote. Rules J6 to J12 of SPEC.md. */
import { genesis, isBlock, parseBlock, seal } from './chain.ts'
import type { Digest, Head, NewDigest } from './chain.ts'
import type { Anchor, Line } from './ports.ts'
import type { BlockRecord } from './record.ts'

/** `line` counts from 1 within the segment; 0 where there is no line to name. */
export type Broken = {
  result: 'broken'
  epoch: string
  segment: number
  line: number
  what: 'edited' | 'cut' | 'rewritten' | 'reordered' | 'missing-segment' | 'missing-epoch' | 'torn'
  detail: string
}
/** `unsealed` lines at the end of a live epoch wait for their block. */
export type Intact = {
  result: 'intact'
  epoch: string
  blocks: number
  lines: number
  unsealed: number
  ended: boolean
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

/** Goes along an epoch's chain, holding it against the epoch's anchors. Memory does not grow with the epoch. */
export function openVerifier({
  epoch,
  newDigest,
  anchors,
}: {
  epoch: string
  newDigest: NewDigest
  anchors: readonly Anchor[]
}): Verifier {
  const anchored = new Map(anchors.map(anchor => [anchor.n, anchor]))
  let head: Head = genesis(epoch, newDigest)
  let digest: Digest = newDigest()
  let segment = 1
  let line = 0
  let sealed = 0
  let unsealed = 0
  let ended = false
  /** A block that stands too far on: whether the missing one follows later tells a cut from a reordering. */
  let skipped: { wanted: number; at: Broken } | null = null

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
    if (seal(digest, block).hash === block.hash) return null
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
    digest = newDigest()
    sealed += unsealed
    unsealed = 0
    ended = block.end === true
    return null
  }

  function enter(next: number): Broken | null {
    if (next === segment) return null
    if (unsealed > 0) return broken('cut', `Segment ${segment} ends in ${unsealed} lines without their block.`)
    segment = next
    line = 0
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
      digest.update(bytes)
      unsealed++
      return null
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
      return (
        skipped?.at ??
        notReached() ?? { result: 'intact', epoch, blocks: head.n, lines: sealed + unsealed, unsealed, ended }
      )
    },
  }
}
