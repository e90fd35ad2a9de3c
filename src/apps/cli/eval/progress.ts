/** How far a run is: one line that changes on a terminal, a line for each quarter elsewhere. */
import type { Progress } from '../../../services/evaluate/index.ts'

type Output = { isTTY?: boolean; write: (text: string) => unknown }

export function tellProgress(output: Output): (progress: Progress) => void {
  let told = 0
  return ({ done, all, what }) => {
    if (what === 'controls' && done === 1) told = 0
    const line = what === 'answers' ? `${done} of ${all} answers` : `${done} of ${all} questions to the judge itself`
    if (output.isTTY === true) {
      output.write(done === all ? '\r\u001b[K' : `\r\u001b[K${line} …`)
      return
    }
    const quarter = Math.floor((done / all) * 4)
    if (quarter === told) return
    told = quarter
    output.write(`${line}\n`)
  }
}
