/** Reasons to doubt a judge before it has said a word: it is the judged, of its family, or weaker. Warnings, from names alone. */
import { parseVersionName } from '../../catalog/index.ts'

/** `parameters`: where they are known from the weights; else the name's («30b») are taken. */
export type Kin = { name: string; parameters?: number }

export function warnOfKinship(judge: Kin, judged: readonly Kin[]): string[] {
  return judged.flatMap(other => {
    if (judge.name === other.name)
      return [`The judge is ${other.name} itself: models prefer their own answers. Take another judge.`]
    const family = familyOf(judge.name)
    const [size, otherSize] = [parametersOf(judge), parametersOf(other)]
    return [
      ...(family !== '' && family === familyOf(other.name)
        ? [`The judge ${judge.name} and ${other.name} are of one family (${family}): models prefer their own kind.`]
        : []),
      ...(size !== null && otherSize !== null && size < otherSize
        ? [`The judge ${judge.name} is smaller than ${other.name}: a judge should be the stronger one.`]
        : []),
    ]
  })
}

/** The letters that the base model's name begins with: `qwen` of `qwen3-coder-30b-a3b`. */
function familyOf(name: string): string {
  return /^[a-z]+/.exec(baseOf(name))?.[0] ?? ''
}

/** All of a mixture's parameters, as its name tells them: the first `30b`, `0.5b` or `500m`. */
function parametersOf({ name, parameters }: Kin): number | null {
  if (parameters !== undefined) return parameters
  const [, digits, unit] = /(?:^|[-_x])(\d+(?:\.\d+)?)([bm])(?:$|[-_])/.exec(baseOf(name)) ?? []
  return digits === undefined ? null : Number(digits) * (unit === 'b' ? 1e9 : 1e6)
}

function baseOf(name: string): string {
  const read = parseVersionName(name)
  // Other services' names: `Qwen/Qwen2.5-7B-Instruct`.
  return read.ok ? read.name.base : (name.toLowerCase().split('/').at(-1) ?? '')
}
