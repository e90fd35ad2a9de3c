/** What a run concluded about one promise. */
export type Finding = {
  /** The promise, as a sentence. */
  promise: string
  /** What broke it, each naming the request or the process; empty: it was kept. */
  violations: string[]
  /** What it was concluded from, in numbers. */
  evidence: string
}

const most = 5

export function renderFindings(findings: readonly Finding[]): string {
  return findings
    .map(({ promise, violations, evidence }) => {
      const shown = violations.slice(0, most).map(text => `       ${text}\n`)
      const rest = violations.length > most ? `       and ${violations.length - most} more\n` : ''
      return `${violations.length === 0 ? 'kept  ' : 'BROKEN'} ${promise} (${evidence})\n${shown.join('')}${rest}`
    })
    .join('')
}
