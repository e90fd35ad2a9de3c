/** The agent's weights: fetches what an engine needs before it is started, and tells how far it is. */
import { setTimeout as pause } from 'node:timers/promises'
import { openArtifactFolder } from '../adapters/artifact-folder/index.ts'
import { openHuggingFace } from '../adapters/registry/hugging-face/index.ts'
import type { Log } from '../adapters/telemetry/index.ts'
import { ArtifactError, ggufFiles, parseArtifactSource } from '../domain/catalog/index.ts'
import type { EngineAssignment } from '../domain/serving/index.ts'
import { openFetcher } from '../services/fetch/index.ts'
import { aborted } from './aborted.ts'
import { openFetches } from './fetches.ts'
import { readHubSettings } from './hub.ts'
import type { Home } from './paths.ts'

/** Resolves with whether the weights are there; `false` only after `signal`. */
export type HaveWeights = (assignment: EngineAssignment, signal: AbortSignal) => Promise<boolean>

/** A full disk and a lost network are mended by people: no hurry. */
const firstWaitMs = 60_000
const longestWaitMs = 600_000

export function openAgentWeights({ home, env, log }: { home: Home; env: NodeJS.ProcessEnv; log: Log }): HaveWeights {
  const store = openArtifactFolder(home.artifacts)
  const fetchArtifact = openFetcher({ store })
  const registry = openHuggingFace(readHubSettings(env))
  const fetches = openFetches(home.fetches)

  return async function haveWeights({ version, source: from }, signal) {
    const wanted = toWanted(from)
    if (from === null || wanted === null || wanted.files.every(file => store.has(wanted.source, file))) return true
    for (let waitMs = firstWaitMs; !signal.aborted; waitMs = Math.min(longestWaitMs, waitMs * 2)) {
      fetches.begin(version, from)
      try {
        await fetchArtifact({
          ...wanted,
          registry,
          signal,
          onProgress: progress => fetches.progress(version, progress),
        })
        fetches.end(version, 'done', null)
        log.info({ version, source: from }, 'weights are here, whole and verified')
        return true
      } catch (error) {
        if (signal.aborted) break
        const { message, retry } = toProblem(error)
        log.info({ version, source: from, err: error, retry }, 'weights could not be fetched')
        fetches.end(
          version,
          'failed',
          retry === 'never' ? message : `${message} (tried again in ${waitMs / 60_000} min)`,
        )
        if (retry === 'never') await aborted(signal)
        else await pause(waitMs, undefined, { signal }).catch(() => {})
      }
    }
    fetches.forget(version)
    return false
  }
}

function toWanted(from: string | null) {
  const reading = parseArtifactSource(from ?? '')
  if (!reading.ok || reading.source.kind !== 'hf') return null
  const files = ggufFiles(reading.source)
  return files.ok ? { source: reading.source, files: files.files } : null
}

const toProblem = (error: unknown): Pick<ArtifactError, 'message' | 'retry'> =>
  error instanceof ArtifactError ? error : { message: String(error), retry: 'later' }
