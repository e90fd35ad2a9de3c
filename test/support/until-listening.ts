/** Waits for a program that says nothing when it is ready. */
import type { ChildProcess } from 'node:child_process'
import { connect } from 'node:net'

/** Resolves when something takes connections at `port`; rejects when the program ends first. Whoever waits has the deadline. */
export async function untilListening(port: number, { program, child }: { program: string; child: ChildProcess }) {
  while (!(await listens(port))) if (child.exitCode !== null) throw new Error(`${program} ended with ${child.exitCode}`)
}

function listens(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    const over = (is: boolean): void => {
      socket.destroy()
      resolve(is)
    }
    socket.once('connect', () => over(true))
    socket.once('error', () => setTimeout(over, 20, false))
  })
}
