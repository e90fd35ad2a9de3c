/** The machine: what a release does next. Start here. Rules: SPEC.md. */
import { act } from './acts.ts'
import { unchanged, workOf } from './decide.ts'
import type { ReleaseEvent, Stepped } from './event.ts'
import { look } from './look.ts'
import type { Release } from './release.ts'
import { confirmAnswered, goldenDone, smokeDone } from './results.ts'

/**
 * Decides what a release does next. Pure: the same release and event give the same answer. What means nothing where it is changes
 * nothing, so that any event may come twice. The next state and the decision are stored before the effects are carried out;
 * `started-again` gives the effects of the present state once more.
 */
export function step(release: Release, event: ReleaseEvent): Stepped {
  switch (event.kind) {
    case 'look':
      return look(release, event)
    case 'smoke-done':
      return smokeDone(release, event)
    case 'golden-done':
      return goldenDone(release, event)
    case 'confirm-answered':
      return confirmAnswered(release, event)
    case 'promote':
    case 'abort':
    case 'resume':
      return act(release, event)
    case 'started-again':
      return { ...unchanged(release), effects: [{ do: 'serve' }, ...workOf(release)] }
    default:
      return event satisfies never
  }
}
