/** How far bytes are: one line that changes on a terminal, a line for each quarter elsewhere. */
import type { RegistryProgress } from '../../../services/registry/index.ts'
import { size } from '../../../domain/size.ts'

type Output = { isTTY?: boolean; write: (text: string) => unknown }

/** Less than this is over before anybody has read of it. */
const worthTelling = 64 * 1024 * 1024
const drawEveryMs = 100

export function tellTransfer(output: Output): (progress: RegistryProgress) => void {
  let told = ''
  let drawnAt = 0
  return ({ stage, doneBytes, totalBytes, why }) => {
    if (output.isTTY === true) {
      const over = doneBytes >= totalBytes && why === null
      if (!over && performance.now() - drawnAt < drawEveryMs) return
      drawnAt = performance.now()
      const line = why ?? `${stage}: ${size(doneBytes)} of ${size(totalBytes)}`
      output.write(over ? '\r\u001b[K' : `\r\u001b[K${line} …`)
      return
    }
    if (why === null && totalBytes < worthTelling) return
    const quarter = Math.floor((doneBytes / totalBytes) * 4)
    const line = why ?? `${stage}: ${quarter * 25} % of ${size(totalBytes)}`
    if (line === told || (why === null && quarter === 0)) return
    told = line
    output.write(`${line}\n`)
  }
}
