/** What a refusal of the hub means, and whether asking again could help. */
import { ArtifactError, type HubSource } from '../../../domain/catalog/index.ts'
import { toEndpoint, type HubAnswer, type HubSettings } from './request.ts'

export type Asked = { settings: HubSettings; source: Pick<HubSource, 'repository' | 'commit'>; path: string | null }

/** `null`: the answer is none, but a success or a redirect. */
export function refusalOf({ response, ofHub, atHub }: HubAnswer, asked: Asked): ArtifactError | null {
  const { status } = response
  if (status < 400) return null
  const { host } = new URL(atHub ? toEndpoint(asked.settings) : response.url)
  if (status === 429 || status === 408 || status >= 500)
    return new ArtifactError('soon', `${host} answers ${status}`, { afterMs: askedWait(response.headers) })
  // Addresses at the storage are signed and expire: the hub gives another one.
  if (!atHub) return new ArtifactError('soon', `${host} answers ${status}`)
  return new ArtifactError(
    'never',
    say(status, { code: ofHub('x-error-code'), words: ofHub('x-error-message') }, asked),
  )
}

function say(
  status: number,
  { code, words }: { code: string | null; words: string | null },
  { settings, source, path }: Asked,
): string {
  const { repository, commit } = source
  const hub = toEndpoint(settings)
  const withToken = settings.token !== null
  const { tokenName = 'HF_TOKEN' } = settings
  if (code === 'EntryNotFound') return `${repository}@${commit} has no file ${path ?? ''}`.trim()
  if (code === 'RevisionNotFound') return `${repository} has no commit ${commit}: see ${hub}/${repository}/commits/main`
  if (code === 'GatedRepo')
    return withToken
      ? `${repository} is gated, and the token in ${tokenName} may not read it: ask for access at ${hub}/${repository}`
      : `${repository} is gated: ask for access at ${hub}/${repository}, set ${tokenName} to a token of yours, and start again`
  // The hub hides which of the two it is.
  if (code === 'RepoNotFound' || status === 401)
    return withToken
      ? `${hub} has no repository ${repository}, or the token in ${tokenName} may not read it`
      : `${hub} has no repository ${repository}, or it is private: then set ${tokenName}, and start again`
  if (status === 404) return `${hub} has no ${repository}@${commit}${path === null ? '' : ` with a file ${path}`}`
  if (status === 403) return `${hub} does not let ${repository} be read (403${quoted(words)}): see ${tokenName}`
  return `${hub} answers ${status}${quoted(words)} for ${repository}@${commit}`
}

/** Shown on terminals, which obey control characters. */
const quoted = (words: string | null): string =>
  words === null ? '' : `: ${words.replaceAll(/\p{C}/gu, '').slice(0, 200)}`

/** `Retry-After` in seconds or as a date; the hub's own limits say `RateLimit: "resolvers";r=0;t=55`. */
function askedWait(headers: Headers): number | null {
  const after = headers.get('retry-after')?.trim() ?? ''
  if (/^\d+$/.test(after)) return Number(after) * 1000
  const date = Date.parse(after)
  if (!Number.isNaN(date)) return Math.max(0, date - Date.now())
  const [, seconds] = /;\s*t=(\d+)/.exec(headers.get('ratelimit') ?? '') ?? []
  return seconds === undefined ? null : Number(seconds) * 1000
}
