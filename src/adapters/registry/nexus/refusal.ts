/** What a refusal of Nexus means, what to do about it, and whether asking again could help. */
import { ArtifactError } from '../../../domain/catalog/index.ts'
import type { Answer } from '../exchange.ts'

export type Refused = { status: number; words: string }

/** Carries what Nexus says: a second write of an object is told in words. */
export class NexusRefusal extends ArtifactError {
  readonly refused: Refused

  constructor(refused: Refused, asked: Asked, afterMs: number | null) {
    super(isSoon(refused) ? 'soon' : 'never', `${asked.name}: ${say(refused, asked)}`, { afterMs })
    this.refused = refused
  }
}

export type Asked = { name: string; repository: string; what: string; withToken: boolean }

/** Consumes the answer. Nexus says what it refuses behind the status, in the body, or both; proxies may drop the first. */
export async function refusalOf(answer: Answer, asked: Asked, { isHead }: { isHead: boolean }): Promise<NexusRefusal> {
  const body = isHead ? '' : await answer.text().catch(() => '')
  if (isHead) answer.discard()
  const isPage = /^\s*</.test(body)
  const words = `${answer.reason} ${isPage ? '' : body}`.replaceAll(/\p{C}/gu, ' ').trim().slice(0, 300)
  const seconds = answer.header('retry-after')?.trim() ?? ''
  const afterMs = /^\d{1,6}$/.test(seconds) ? Number(seconds) * 1000 : null
  return new NexusRefusal({ status: answer.status, words }, asked, afterMs)
}

/** 400 before 3.9x, 409 since; the words are of both. */
export const isSecondWrite = ({ status, words }: Refused): boolean =>
  status === 409 || (status === 400 && /updating assets|cannot be updated|redeploy/i.test(words))

const isLockedOut = ({ status, words }: Refused): boolean => status === 429 && /authentication/i.test(words)

const isSoon = (refused: Refused): boolean =>
  (refused.status >= 500 && refused.status !== 507) ||
  refused.status === 408 ||
  (refused.status === 429 && !isLockedOut(refused))

function say(refused: Refused, { repository, what, withToken }: Asked): string {
  const { status, words } = refused
  const asked = `${what} is refused (${status})`
  if (isLockedOut(refused))
    return `${asked}: Nexus refuses this user after too many failed sign-ins, until 15 minutes without any request; mend the registry's token, and wait that long`
  if (status === 401 || (status === 403 && !withToken))
    return withToken
      ? `${asked}: Nexus does not take the registry's token; it is <user>:<password>, or the name and pass code of a user token`
      : `${asked}: Nexus wants a user; set the registry's token to <user>:<password>`
  if (status === 403)
    return `${asked}: this user may not do that; it needs nx-repository-view-raw-${repository}-browse, -read, -add and -delete`
  if (status === 404) return `${what} is not possible: there is no such object, or no repository '${repository}'`
  if (status === 405) return `${asked}: '${repository}' is a group or a proxy; a registry is a hosted raw repository`
  if (status === 413)
    return `${asked}: the proxy before Nexus lets no body of this size through; raise its limit (nginx: client_max_body_size 0)`
  if (status === 400 && /read-only/i.test(words))
    return `${asked}: the repository's deployment policy is read-only; set it to 'Disable redeploy'`
  if (status >= 300 && status < 400)
    return `${asked}: it sends one elsewhere, and that is not followed; mend the registry's url`
  return words === '' ? asked : `${asked}: ${words}`
}
