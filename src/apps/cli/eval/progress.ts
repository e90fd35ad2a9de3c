/** How far a run is: its answers, then the questions to the judge itself. */
import type { Progress } from '../../../services/evaluate/index.ts'
import { tellSteps, type Output } from '../steps.ts'

export function tellProgress(output: Output): (progress: Progress) => void {
  const tell = {
    answers: tellSteps(output, 'answers'),
    controls: tellSteps(output, 'questions to the judge itself'),
  } satisfies Record<Progress['what'], unknown>
  return ({ done, all, what }) => tell[what](done, all)
}
