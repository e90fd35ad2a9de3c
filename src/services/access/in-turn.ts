/** Runs tasks one after another, so that what a task read is still true when it writes. */
export type InTurn = <T>(task: () => Promise<T>) => Promise<T>

export function inTurn(): InTurn {
  let last: Promise<unknown> = Promise.resolve()
  return task => {
    const mine = last.then(task)
    last = mine.catch(() => undefined)
    return mine
  }
}
