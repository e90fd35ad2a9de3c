/** How parsers get bytes: they ask for ranges of one file and are answered, so they stay pure, and whoever reads bounds them. */

export type Want =
  /** Answered with these bytes, or with fewer where the file ends. */
  | { kind: 'bytes'; at: number; bytes: number }
  /** Answered with what raw deflate makes of these, unless that is more than `most` bytes or they are broken. */
  | { kind: 'inflate'; deflated: Uint8Array; most: number }

export type Reading<T> = Generator<Want, T, Uint8Array>

/** A file is not what it should be. The message says what, where in the file, and what to do. */
export class FormatError extends Error {
  /** Where in the file; `null`: nowhere in particular. */
  readonly at: number | null
  constructor(at: number | null, problem: string, remedy: string) {
    super(`${at === null ? '' : `at byte ${at}: `}${problem}. ${remedy}`)
    this.name = 'FormatError'
    this.at = at
  }
}

/** For what only a broken or forged file has. */
export const fetchAgain =
  'The file is damaged or made to harm: fetch it again from where it was published, and compare its digest.'

/** Names in files may hold anything, of any length; terminals obey control characters. */
export function shown(name: string): string {
  const plain = name.slice(0, 120).replaceAll(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, '\uFFFD')
  return name.length > 120 ? `${plain}…` : plain
}

/** Bytes that stand alone, such as an entry of an archive, for a parser that wants a file. */
export function readWhole<T>(reading: Reading<T>, bytes: Uint8Array): T {
  for (let step = reading.next(); ;) {
    if (step.done === true) return step.value
    const want = step.value
    if (want.kind === 'inflate') throw new FormatError(null, 'one archive lies inside another', fetchAgain)
    step = reading.next(bytes.subarray(want.at, want.at + want.bytes))
  }
}
