/** Python's clients, in one process for the whole run: `openai` and `langchain-openai`. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { z } from 'zod'
import type { Access, Heard, Problem, Question, Speaker, StreamOptions } from '../speaker.ts'

const Told = z.object({
  text: z.string(),
  thought: z.string(),
  calls: z.array(z.object({ id: z.string(), name: z.string(), input: z.unknown() })),
  finish: z.enum(['stop', 'tools', 'length', 'other']),
  usage: z.object({ input: z.number(), output: z.number() }).nullable(),
  pieces: z.number(),
})
const Line = z.union([
  z.object({ id: z.number(), piece: z.literal(true) }),
  z.object({ id: z.number(), told: z.unknown() }),
  z.object({
    id: z.number(),
    error: z.object({ type: z.string(), status: z.number().nullable(), message: z.string() }),
  }),
])

/** What a Python client threw. */
class PythonError extends Error {
  readonly problem: Problem
  constructor(problem: Problem) {
    super(problem.message)
    this.problem = problem
  }
}

type Waiting = { resolve: (told: unknown) => void; reject: (error: Error) => void; onPiece: () => void }
export type PythonTask = 'embeddings' | 'langchain-embeddings' | 'models'
export type Python = ReturnType<typeof startPython>

/** `interpreter`: one that has the packages. */
export function startPython(interpreter: string) {
  const child = spawn(interpreter, [join(import.meta.dirname, 'speak.py')], { stdio: ['pipe', 'pipe', 'pipe'] })
  const waiting = new Map<number, Waiting>()
  let nextId = 0
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-4_000)
  })
  const ended = new Promise<void>(resolve => child.once('close', () => resolve()))
  child.once('close', () => {
    for (const { reject } of waiting.values()) reject(new Error(`Python ended:\n${said}`))
    waiting.clear()
  })
  createInterface({ input: child.stdout }).on('line', text => {
    const line = Line.parse(JSON.parse(text))
    const waiter = waiting.get(line.id)
    if ('piece' in line) return waiter?.onPiece()
    waiting.delete(line.id)
    if ('error' in line) waiter?.reject(new PythonError(line.error))
    else waiter?.resolve(line.told)
  })

  function send(ask: Record<string, unknown>, { signal, onPiece = () => {} }: StreamOptions = {}) {
    const id = nextId++
    const { promise, resolve, reject } = Promise.withResolvers<unknown>()
    waiting.set(id, { resolve, reject, onPiece })
    child.stdin.write(`${JSON.stringify({ ...ask, id })}\n`)
    signal?.addEventListener('abort', () => child.stdin.write(`${JSON.stringify({ do: 'leave', id })}\n`))
    return promise.then(told => ({ id, told }))
  }

  function speaker(name: 'chat' | 'responses' | 'langchain'): Speaker {
    const put = async (what: { do: string; access: Access; question: Question }, options?: StreamOptions) => {
      const { results, ...question } = what.question
      const earlier =
        results === undefined
          ? {}
          : {
              results: {
                of: results.of.native,
                calls: results.of.calls.map(call => call.id),
                outputs: results.outputs,
              },
            }
      const asked = { do: what.do, speaker: name, ...what.access, question: { ...question, ...earlier } }
      const { id, told } = await send(asked, options)
      const { calls, ...heard } = Told.parse(told)
      return { ...heard, calls: calls.map(call => ({ ...call, input: call.input })), native: id } satisfies Heard
    }
    return {
      problem: error =>
        error instanceof PythonError ? error.problem : { type: 'none', status: null, message: String(error) },
      ask: (access, question) => put({ do: 'ask', access, question }),
      stream: (access, question, options) => put({ do: 'stream', access, question }, options),
    }
  }

  return {
    speaker,
    do: async (task: PythonTask, access: Access, more: Record<string, unknown> = {}): Promise<unknown> =>
      (await send({ do: task, ...access, ...more })).told,
    async close(): Promise<void> {
      child.stdin.end()
      await ended
    },
  }
}
