/** A wire for tests of probes: it answers GETs as told, by their path, and remembers what was asked. */
import type { Target, Wire } from '../../../services/serve/index.ts'

export type Answers = Record<string, { status: number; text?: string } | Error>

export const target: Target = { address: { url: 'http://127.0.0.1:1/v1' }, metrics: null, apiKey: null, served: null }

/** What it has no answer for is 404. */
export function fakeWire(answers: Answers): Wire & { asked: string[] } {
  const asked: string[] = []
  return {
    asked,
    post: () => {
      throw new Error('a probe costs no inference')
    },
    get(_target, path) {
      asked.push(path)
      const answer = answers[path] ?? { status: 404 }
      if (answer instanceof Error) return Promise.reject(answer)
      return Promise.resolve({ status: answer.status, text: answer.text ?? '' })
    },
    close: () => Promise.resolve(),
  }
}
