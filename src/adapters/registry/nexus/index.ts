/**
 * A raw hosted repository of Sonatype Nexus Repository 3 as a place for objects.
 *
 * - `/repository/<name>/<path>`: GET (with ranges), HEAD, PUT (201), DELETE (204, then 404). The tag of an object is its
 *   SHA-1. (github.com/sonatype/nexus-public, RawContentHandler; public notes of requests to 3.71 and 3.96)
 * - A body is kept as a temporary blob and attached when it is whole: a cut PUT leaves nothing. (RawContentFacetImpl)
 * - The deployment policy decides about a second PUT: «Disable redeploy» refuses it (400 «Repository does not allow
 *   updating assets», since 3.9x 409 «cannot be updated as asset already exists and redeploy is not allowed»), «Allow
 *   redeploy» replaces, «Read-only» refuses all (400 «is read-only»). Deleting is allowed by the first two.
 * - It looks whether there is an object and attaches the new one in two steps (ContentFacetSupport `checkAttachAllowed`):
 *   two first PUTs at the same moment can both be answered 201. So who creates looks again a moment later.
 * - `/service/rest/v1/assets` tells what is there now; the search is an index that comes two seconds later, and what
 *   prune does not see it would remove the files of. Pages of 10 up to 3.71, of 100 since.
 * - 404 of an object and of a repository are alike behind a proxy; `/service/rest/v1/repositories/<name>` tells them apart.
 */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { ArtifactError } from '../../../domain/catalog/index.ts'
import type { ListedObject, ObjectHead, ObjectPlace } from '../../../services/registry/index.ts'
import { again, readOn, usualPatience, type Patience } from '../again.ts'
import { checked } from '../checked.ts'
import { createOnce, type Guard } from '../create-once.ts'
import type { Answer } from '../exchange.ts'
import { exactly, gather, rangeHeader } from '../range.ts'
import { isSecondWrite, NexusRefusal } from './refusal.ts'
import { askOnce, toRepository, type Request } from './request.ts'

export type NexusSettings = {
  url: string
  /** `<user>:<password>`, or what a proxy before Nexus takes as a bearer; `null`: open to all. */
  token: string | null
  /** For what people should know, such as a repository that lets objects be replaced. */
  tell(line: string): void
  patience?: Patience
  silenceMs?: number
  /** The waits before the last look of a create. */
  settleMs?: Guard['waitMs']
}

const RepositoryFacts = z.object({ format: z.string(), type: z.string() })
const Assets = z.object({
  items: z.array(z.object({ path: z.string(), fileSize: z.number().nullish(), lastModified: z.string().nullish() })),
  continuationToken: z.string().nullable(),
})
const mostPages = 100_000

/** Nothing is asked before a verb is used; a url that names no repository is an ArtifactError at once. */
export function openNexus(settings: NexusSettings): ObjectPlace {
  const { url, token, tell, patience = usualPatience, silenceMs } = settings
  const place = toRepository(url, { token, patience, ...(silenceMs === undefined ? {} : { silenceMs }) })
  const { name, repository } = place
  const guard: Guard = {
    refuses: null,
    waitMs: settings.settleMs ?? { refusing: 250, replacing: 2_000 },
    warn: () =>
      tell(
        `${name}: this repository lets what is there be replaced, so a published version is only as safe as everybody who may write to it. In Nexus, set its deployment policy to 'Disable redeploy'.`,
      ),
  }
  let isRaw = false

  const ask = (request: Request, signal: AbortSignal): Promise<Answer> =>
    again(() => askOnce(place, request, signal), patience, signal)

  /** Once, when something is not there: perhaps it is the repository. */
  async function mustBeRaw(signal: AbortSignal): Promise<void> {
    if (isRaw) return
    try {
      const what = `looking for repository '${repository}'`
      const answer = await ask({ method: 'GET', url: place.restUrl(`repositories/${repository}`), what }, signal)
      const reading = RepositoryFacts.safeParse(parseJson(await answer.text()))
      if (!reading.success)
        throw new ArtifactError('never', `${name}: this does not answer as a Nexus does; see the registry's url`)
      const { format, type } = reading.data
      if (format !== 'raw' || type !== 'hosted')
        throw new ArtifactError(
          'never',
          `${name}: '${repository}' is a ${type} repository of format ${format}; a registry is a hosted raw repository`,
        )
    } catch (error) {
      if (!(error instanceof NexusRefusal)) throw error
      if (error.refused.status === 404)
        throw new ArtifactError(
          'never',
          `${name}: there is no repository '${repository}'; make it in Nexus (raw, hosted), or mend the registry's url`,
        )
      // Who may read objects need not be allowed to look at repositories.
      if (error.refused.status !== 403 && error.refused.status !== 401) throw error
    }
    isRaw = true
  }

  async function orNull<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T | null> {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof NexusRefusal) || error.refused.status !== 404) throw error
      await mustBeRaw(signal)
      return null
    }
  }

  const headOf = (path: string, signal: AbortSignal): Promise<(ObjectHead & { sha1: string | null }) | null> =>
    orNull(async () => {
      const answer = await ask({ method: 'HEAD', url: place.objectUrl(path), what: `looking for ${path}` }, signal)
      answer.discard()
      const bytes = answer.header('content-length')
      const modifiedAt = new Date(answer.header('last-modified') ?? NaN)
      if (bytes === null || !/^\d{1,15}$/.test(bytes) || Number.isNaN(modifiedAt.getTime()))
        throw new ArtifactError('never', `${name} does not tell the length and time of ${path}`)
      const [, sha1] = /^"(?:\{SHA1\{)?([0-9a-f]{40})(?:\}\})?"$/.exec(answer.header('etag') ?? '') ?? []
      return { bytes: Number(bytes), modifiedAt, sha1: sha1 ?? null }
    }, signal)

  const readAll = (path: string, most: number, signal: AbortSignal): Promise<Uint8Array | null> =>
    orNull(
      () =>
        again(
          async () => {
            const request = { method: 'GET', url: place.objectUrl(path), what: `reading ${path}` } as const
            const answer = await askOnce(place, request, signal)
            return gather(answer.bytes(), most)
          },
          patience,
          signal,
        ),
      signal,
    )

  async function* readRange(path: string, { from, to }: { from: number; to: number }, signal: AbortSignal) {
    const headers = { range: rangeHeader({ from, to }) }
    const request = { method: 'GET', url: place.objectUrl(path), headers, what: `reading ${path}` } as const
    yield* exactly(await askOnce(place, request, signal), { from, to }, `${name}: ${path}`)
  }

  return {
    name,
    async head(path, signal) {
      const found = await headOf(path, signal)
      return found === null ? null : { bytes: found.bytes, modifiedAt: found.modifiedAt }
    },
    read: (path, { from, to }, signal) =>
      readOn(at => readRange(path, { from: at, to }, signal), { from, to, patience, signal }),

    async write(path, upload, signal) {
      const { bytes, sha256 } = upload
      // Nexus's own digest of an object is its SHA-1.
      let sha1 = ''
      let most = 0
      const body = {
        bytes,
        async *open() {
          const hash = createHash('sha1')
          let sent = 0
          for await (const piece of checked(upload.open({ from: 0, to: bytes }), { bytes, sha256, what: path })) {
            hash.update(piece)
            yield piece
            // Of one request nothing rests before its end: what was taken is all there is to tell meanwhile.
            sent += piece.length
            if (sent > most) upload.onProgress((most = sent))
          }
          sha1 = hash.digest('hex')
        },
      }
      const headers = { 'content-type': 'application/octet-stream' }
      const request = { method: 'PUT', url: place.objectUrl(path), headers, body, what: `writing ${path}` } as const
      try {
        const answer = await ask(request, signal)
        answer.discard()
      } catch (error) {
        // Under this path there is only this, whoever wrote it.
        if (!(error instanceof NexusRefusal) || !isSecondWrite(error.refused)) throw error
      }
      const written = await headOf(path, signal)
      if (written?.bytes !== bytes || (sha1 !== '' && written.sha1 !== null && written.sha1 !== sha1))
        throw new ArtifactError(
          'never',
          `${name}: ${path} has other bytes there than those that were written (${written?.bytes ?? 'none'} of ${bytes}); remove it there, and start again`,
        )
      upload.onProgress(bytes)
    },

    create(path, content, signal) {
      const headers = { 'content-type': 'application/json' }
      const body = {
        bytes: content.length,
        async *open() {
          yield content
        },
      }
      const request = { method: 'PUT', url: place.objectUrl(path), headers, body, what: `creating ${path}` } as const
      async function put(): Promise<'written' | 'refused'> {
        try {
          const answer = await ask(request, signal)
          answer.discard()
          return 'written'
        } catch (error) {
          if (error instanceof NexusRefusal && isSecondWrite(error.refused)) return 'refused'
          throw error
        }
      }
      return createOnce({ read: () => readAll(path, content.length, signal), put }, content, { guard, signal })
    },

    async remove(path, signal) {
      await orNull(async () => {
        const answer = await ask({ method: 'DELETE', url: place.objectUrl(path), what: `removing ${path}` }, signal)
        answer.discard()
      }, signal)
    },

    async *list(prefix, signal) {
      await mustBeRaw(signal)
      let next: string | null = null
      for (let page = 0; page < mostPages; page++) {
        const query = { repository, ...(next === null ? {} : { continuationToken: next }) }
        const what = `listing repository '${repository}'`
        const text = await again(
          async () =>
            (await askOnce(place, { method: 'GET', url: place.restUrl('assets', query), what }, signal)).text(),
          patience,
          signal,
        )
        const reading = Assets.safeParse(parseJson(text))
        if (!reading.success) throw new ArtifactError('never', `${name}: ${what} is not answered as a Nexus answers`)
        for (const { path: inRepository, fileSize, lastModified } of reading.data.items) {
          const path = place.pathOf(inRepository)
          if (path === null || !path.startsWith(prefix)) continue
          const modifiedAt = new Date(lastModified ?? NaN)
          const told = typeof fileSize === 'number' && !Number.isNaN(modifiedAt.getTime())
          const found: ObjectHead | null = told ? { bytes: fileSize, modifiedAt } : await headOf(path, signal)
          if (found !== null) yield { path, bytes: found.bytes, modifiedAt: found.modifiedAt } satisfies ListedObject
        }
        const following: string | null = reading.data.continuationToken
        if (following === null) return
        if (following === next) throw new ArtifactError('never', `${name}: ${what} does not come to an end`)
        next = following
      }
      throw new ArtifactError('never', `${name}: there are more objects than are listed here`)
    },

    free: () => Promise.resolve(null),
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
