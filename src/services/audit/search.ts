/** Audit search and export: requests and acts as lines of one form. */
import type { AccessStore } from '../../domain/access/index.ts'
import type { AuditEntry, AuditFilter, AuditStore } from '../../domain/journal/index.ts'

/** One request or act. `what` is `request`, or the act's name; `target` is the route, or what the act was about. */
export type AuditLine = {
  id: string
  time: string
  what: string
  who: string | null
  alias: string | null
  team: string | null
  model: string | null
  from: string | null
  target: string | null
  decision: string
  why: string | null
  detail: Readonly<Record<string, unknown>> | null
}

/** `who`: a key's id or alias, a person, a token's subject, `admin` or `controller`. */
export type AuditAsk = Omit<AuditFilter, 'kinds' | 'who'> & { who?: string }

export interface AuditSearch {
  /** Newest first. `next` is `before` of the next page; `null`: this was the last. */
  page(ask: AuditAsk): Promise<{ lines: AuditLine[]; next: string | null }>
  /** All of them, newest first, a page at a time: never more than that is held. */
  all(ask: Omit<AuditAsk, 'limit'>): AsyncGenerator<AuditLine[]>
}

const pageLines = 1_000

export function openAuditSearch({
  store,
  keys,
}: {
  store: Pick<AuditStore, 'search'>
  keys: Pick<AccessStore, 'keys'>
}): AuditSearch {
  async function page({ who, ...ask }: AuditAsk) {
    const kinds: AuditEntry['kind'][] = []
    if (ask.what === undefined || ask.what === 'request') kinds.push('request')
    if (ask.what !== 'request' && ask.model === undefined) kinds.push('act')
    const whose = who === undefined ? {} : { who: { ids: await idsOf(who), alias: who } }
    const entries = await store.search({ ...ask, ...whose, kinds })
    const lines = entries.map(toLine)
    return { lines, next: lines.length < ask.limit ? null : (lines.at(-1)?.id ?? null) }
  }

  /** A token has no record among the keys, and neither have the administrator and the controller. */
  async function idsOf(who: string): Promise<string[]> {
    const named = (await keys.keys()).filter(key => key.id === who || key.alias === who || key.owner?.name === who)
    return [who, `jwt:${who}`, ...named.map(key => key.id)]
  }

  return {
    page,
    async *all(ask) {
      for (let before = ask.before; ;) {
        const { lines, next } = await page({ ...ask, limit: pageLines, ...(before === undefined ? {} : { before }) })
        if (lines.length > 0) yield lines
        if (next === null) return
        before = next
      }
    },
  }
}

function toLine(entry: AuditEntry): AuditLine {
  if (entry.kind === 'act') return { ...entry.act, team: null, model: null }
  const { id, time, key, alias, team, model, from, route, outcome, fault, choice, ...rest } = entry.request
  return {
    ...{ id, time, what: 'request', who: key, alias, team, model, from, target: route },
    decision: outcome === 'ok' ? 'done' : outcome,
    why: fault ?? choice,
    detail: { ...rest, choice },
  }
}
