/** Waits until the service's models are loaded, as the gateway lists them. */
import { z } from 'zod'
import { fetchAtSocket } from '../reach-gateway.ts'

const ModelList = z.object({ models: z.array(z.object({ name: z.string(), version: z.string(), status: z.string() })) })
export type ServedModel = z.output<typeof ModelList>['models'][number]

export type AwaitParts = {
  /** The gateway's own. */
  socket: string
  key: string
  /** Without a download: those take as long as they take. */
  longestMs: number
  /** Of a version: whether its weights still come, or won't. */
  fetchOf?: (version: string) => 'fetching' | 'done' | 'failed' | null
  signal: AbortSignal
  onProgress: (loading: string[]) => void
}

const lookEveryMs = 50

/** Resolves with the models when none is loading any more, or as they are after `longestMs`. */
export async function awaitModels({
  socket,
  key,
  longestMs,
  fetchOf = () => null,
  signal,
  onProgress,
}: AwaitParts): Promise<ServedModel[]> {
  let untilMs = performance.now() + longestMs
  for (;;) {
    const models = (await listOwn(socket, key))?.map(model =>
      fetchOf(model.version) === 'failed' ? { ...model, status: 'unavailable' } : model,
    )
    const loading = (models ?? []).filter(({ status }) => status === 'loading')
    if (loading.some(({ version }) => fetchOf(version) === 'fetching')) untilMs = performance.now() + longestMs
    if (models !== undefined && loading.length === 0) return models
    if (performance.now() > untilMs) return models ?? []
    if (signal.aborted) return []
    onProgress(loading.map(({ name }) => name))
    await new Promise(resolve => setTimeout(resolve, lookEveryMs))
  }
}

async function listOwn(socket: string, key: string): Promise<ServedModel[] | null> {
  try {
    const answer = await fetchAtSocket(socket, '/v1/models', {
      headers: { authorization: `Bearer ${key}` },
      signal: AbortSignal.timeout(2_000),
    })
    return ModelList.parse(await answer.json()).models
  } catch {
    // A gateway that is being replaced: the next look tells.
    return null
  }
}
