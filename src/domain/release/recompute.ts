/** Decides everything again, from the events alone: whether a release was decided as its records say. Rule: E15 in SPEC.md. */
import { beginRelease } from './begin.ts'
import type { ReleaseEvent } from './event.ts'
import { openEvidence, takeIn } from './evidence.ts'
import type { Decision, EvidenceEvent, Release } from './release.ts'
import { step } from './step.ts'

/** `differences`: where what was stored and what comes out now are not the same, by path. */
export type Recomputed = { n: number; agrees: boolean; differences: string[] }

/**
 * Replays `decisions` over `events`, both in order. Every number must come out the same, to the last bit; what the machine was told
 * besides (engines, results, people, the time) is taken from the decisions themselves.
 */
export function recompute(
  release: Release,
  decisions: readonly Decision[],
  events: Iterable<EvidenceEvent>,
): Recomputed[] {
  const evidence = openEvidence(release.policy)
  const coming = events[Symbol.iterator]()
  let ahead = coming.next()
  let now = beginRelease({ ...release, now: release.startedAt })
  return decisions.map(({ n, ...stored }) => {
    for (; ahead.done !== true && ahead.value.seq <= stored.seq; ahead = coming.next())
      takeIn(evidence, ahead.value, now.baseline)
    const { event, before, sawEvidence } = toldIn(stored.inputs)
    const again = step(
      { ...now, ...before },
      // Written by `decide` from an event of this type; one from elsewhere gives another decision, which is told.
      { ...event, now: stored.at, ...(sawEvidence ? { evidence } : {}) } as ReleaseEvent,
    )
    now = again.next
    const differences = differ({ at: '', stored, again: again.decision })
    return { n, agrees: differences.length === 0, differences }
  })
}

function toldIn(inputs: Decision['inputs']): { event: object; before: Partial<Release>; sawEvidence: boolean } {
  const { event, before, counts } = inputs
  return {
    event: isObject(event) ? event : {},
    before: isObject(before) ? before : {},
    sawEvidence: isObject(counts),
  }
}

function differ({ at, stored, again }: { at: string; stored: unknown; again: unknown }): string[] {
  if (Object.is(stored, again)) return []
  if (!isObject(stored) || !isObject(again)) {
    return [`${at.slice(1) || 'decision'}: stored ${JSON.stringify(stored)}, recomputed ${JSON.stringify(again)}`]
  }
  // Fields that are undefined do not exist in JSON.
  const fields = (value: object) => new Map(Object.entries(value).filter(([, field]) => field !== undefined))
  const [before, after] = [fields(stored), fields(again)]
  const names = new Set([...before.keys(), ...after.keys()])
  return [...names].flatMap(name => differ({ at: `${at}.${name}`, stored: before.get(name), again: after.get(name) }))
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null
