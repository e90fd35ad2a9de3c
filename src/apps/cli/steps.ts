/** How far long work is: one line that changes on a terminal, a line for each quarter elsewhere. */

export type Output = { isTTY?: boolean; write: (text: string) => unknown }

/** `what`: of what there are so many, as people count them. */
export function tellSteps(output: Output, what: string): (done: number, all: number) => void {
  let told = 0
  return (done, all) => {
    const line = `${done} of ${all} ${what}`
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
