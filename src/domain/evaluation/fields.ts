/** Reading JSON that people wrote: a place to tell problems, and the one question that every reader asks. */

/** Takes a problem, in words that name the field. */
export type Tell = (problem: string) => void

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
