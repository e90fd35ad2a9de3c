/** Requests by chance: each goes to one arm and has an event or none. */
import type { Counts } from '../../src/domain/evaluation/statistics/index.ts'

export type Chances = {
  /** The part that goes to the candidate. */
  share: number
  /** Chance of an event in each arm. */
  live: number
  candidate: number
}

export type Drawn = { units: Counts; events: Counts }

/** Adds `count` requests to what was drawn before. One number each decides both arm and event: simulations draw a thousand million. */
export function drawRequests(
  drawn: Drawn,
  count: number,
  { share, live, candidate, random }: Chances & { random: () => number },
): void {
  const candidateEvent = share * candidate
  const liveEvent = share + (1 - share) * live
  let units = 0
  let candidateEvents = 0
  let liveEvents = 0
  for (let request = 0; request < count; request++) {
    const chance = random()
    if (chance < share) {
      units++
      if (chance < candidateEvent) candidateEvents++
    } else if (chance < liveEvent) liveEvents++
  }
  drawn.units.candidate += units
  drawn.units.live += count - units
  drawn.events.candidate += candidateEvents
  drawn.events.live += liveEvents
}
