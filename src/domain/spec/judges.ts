/** Rules for judges: what people ask and are answered is sent to them, so they are among our own hosts unless the spec says otherwise. Looks at the document as written. */
import { asText, entries, field, items, valueAt } from './document.ts'
import type { Path } from './document.ts'
import { clip, problem } from './problem.ts'
import type { SpecProblem } from './problem.ts'

export function checkJudges(document: unknown): SpecProblem[] {
  const asked: Path[] = [
    ...entries(document, ['releases']).map(({ path }) => [...path, 'shadow']),
    ...items(document, ['models']).map(({ path }) => [...path, 'quality']),
  ]
  return asked.flatMap(path => {
    const at: Path = [...path, 'judge']
    const judge = asText(valueAt(document, at))
    if (judge === null || valueAt(document, [...path, 'allowExternal']) === true) return []
    const outside = addressesOf(document, judge).find(address => !isOwn(document, address))
    if (outside === undefined) return []
    return [
      problem(
        at,
        `"${clip(judge)}" runs at ${clip(outside)}, outside our own hosts, and what people ask and are answered would be sent there: choose another judge, or say so with allowExternal: true`,
      ),
    ]
  })
}

/** The hosts of the model's live version. */
function addressesOf(document: unknown, model: string): string[] {
  const live = items(document, ['models']).find(({ value }) => field(value, 'name') === model)
  const version = items(document, ['versions']).find(({ value }) => field(value, 'name') === field(live?.value, 'live'))
  if (version === undefined) return []
  return items(document, [...version.path, 'replicas']).flatMap(({ value }) => {
    const host = hostIn(asText(field(value, 'url')) ?? '')
    return host === null ? [] : [host]
  })
}

/** Loopback, private networks, names without a domain, and whatever `hosts` names. */
function isOwn(document: unknown, host: string): boolean {
  const named = items(document, ['hosts']).flatMap(({ value }) => [field(value, 'name'), field(value, 'address')])
  if (named.includes(host)) return true
  if (/^(localhost|[^.:]+|.+\.(local|internal|lan|home\.arpa))$/i.test(host)) return true
  if (
    /^(127\.|10\.|192\.168\.|169\.254\.|172\.(1[6-9]|2\d|3[01])\.|100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.)/.test(host)
  )
    return /^[\d.]+$/.test(host)
  return /^(::1|f[cd][0-9a-f]{2}:.*|fe80:.*)$/i.test(host)
}

function hostIn(url: string): string | null {
  const [, bracketed, plain] = /^https?:\/\/(?:\[([^\]]+)\]|([^/:?#]+))/i.exec(url) ?? []
  return bracketed ?? plain ?? null
}
