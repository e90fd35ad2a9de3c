/** Prometheus' text format, read. https://prometheus.io/docs/instrumenting/exposition_formats/ */

export type Sample = { labels: Readonly<Record<string, string>>; value: number }

export type Metrics = {
  /** The samples of one name that have at least these labels; those whose value is NaN are left out. */
  samples(name: string, labels?: Readonly<Record<string, string>>): Sample[]
  /** `null`: there are none. */
  sum(name: string, labels?: Readonly<Record<string, string>>): number | null
  /** `null`: there are none. */
  max(name: string, labels?: Readonly<Record<string, string>>): number | null
}

/** An engine with many histograms has a few thousand lines. */
const mostLines = 100_000

/** Never throws: a line that is no sample is passed over. Samples are read when they are asked for. */
export function parseMetrics(text: string): Metrics {
  const linesOf = new Map<string, string[]>()
  for (const line of text.split('\n', mostLines)) {
    const name = /^[ \t]*([a-zA-Z_:][a-zA-Z0-9_:]*)/.exec(line)
    if (name?.[1] === undefined) continue
    const rest = line.slice(name[0].length)
    const lines = linesOf.get(name[1])
    if (lines === undefined) linesOf.set(name[1], [rest])
    else lines.push(rest)
  }

  const samples: Metrics['samples'] = (name, labels = {}) =>
    (linesOf.get(name) ?? []).flatMap(line => {
      const sample = readSample(line)
      if (sample === null || Number.isNaN(sample.value)) return []
      return Object.entries(labels).every(([label, value]) => sample.labels[label] === value) ? [sample] : []
    })

  return {
    samples,
    sum(name, labels) {
      const found = samples(name, labels)
      return found.length === 0 ? null : found.reduce((total, { value }) => total + value, 0)
    },
    max(name, labels) {
      const found = samples(name, labels)
      return found.length === 0 ? null : found.reduce((most, { value }) => Math.max(most, value), -Infinity)
    },
  }
}

/** What follows a name: labels, value, and a timestamp or an exemplar, which are not looked at. */
function readSample(rest: string): Sample | null {
  const labels: Record<string, string> = Object.create(null) as Record<string, string>
  let at = skipBlanks(rest, 0)
  if (rest[at] === '{') {
    at = skipBlanks(rest, at + 1)
    while (rest[at] !== '}') {
      labelAt.lastIndex = at
      const [whole, name, value] = labelAt.exec(rest) ?? []
      if (whole === undefined || name === undefined || value === undefined) return null
      labels[name] = unescape(value)
      at = skipBlanks(rest, at + whole.length)
      if (rest[at] === ',') at = skipBlanks(rest, at + 1)
      else if (rest[at] !== '}') return null
    }
    at++
  }
  const [text = '', ...after] = rest
    .slice(at)
    .trim()
    .split(/[ \t]+/)
  const value = readValue(text)
  if (value === null) return null
  const beyond = isTimestamp(after[0]) ? after[1] : after[0]
  return beyond === undefined || beyond === '#' ? { labels, value } : null
}

const isTimestamp = (text: string | undefined): boolean => text !== undefined && /^-?\d+(\.\d+)?$/.test(text)

const labelAt = /([a-zA-Z_][a-zA-Z0-9_]*)[ \t]*=[ \t]*"((?:[^"\\]|\\[^])*)"/y

/** The format knows three escapes; a backslash before anything else stands for itself. */
function unescape(value: string): string {
  return value.replaceAll(/\\([\\"n])/g, (_, character: string) => (character === 'n' ? '\n' : character))
}

function readValue(text: string): number | null {
  if (/^[+-]?inf(inity)?$/i.test(text)) return text.startsWith('-') ? -Infinity : Infinity
  if (/^[+-]?nan$/i.test(text)) return NaN
  return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text) : null
}

function skipBlanks(text: string, from: number): number {
  let at = from
  while (text[at] === ' ' || text[at] === '\t') at++
  return at
}
