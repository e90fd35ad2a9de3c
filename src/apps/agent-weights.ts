/** The agent's weights: fetches or checks what an engine needs before it is started, and tells how far it is. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { openArtifactFolder, openKnownDigests } from '../adapters/artifact-folder/index.ts'
import type { Log } from '../adapters/log/index.ts'
import { ArtifactError, ggufFiles, parseArtifactSource } from '../domain/catalog/index.ts'
import type { EngineAssignment } from '../domain/serving/index.ts'
import { openFetcher, type FetchProgress } from '../services/fetch/index.ts'
import { aborted } from './aborted.ts'
import { openFetches } from './fetches.ts'
import type { Home } from './paths.ts'
import { hubFilesFrom, versionFilesFrom } from './registry-sources.ts'

/** Resolves with where the weights are, once they are there; `null` only after `signal`. */
export type HaveWeights = (assignment: EngineAssignment, signal: AbortSignal) => Promise<string | null>

/** A full disk and a lost network are mended by people: no hurry. */
const firstWaitMs = 60_000
const longestWaitMs = 600_000

export function openAgentWeights({ home, env, log }: { home: Home; env: NodeJS.ProcessEnv; log: Log }): HaveWeights {
  const store = openArtifactFolder(home.artifacts)
  const knownDigests = openKnownDigests(join(home.artifacts, 'known-digests.json'))
  const fetchArtifact = openFetcher({ store })
  const fetches = openFetches(home.fetches)
  const parts = { env, tell: (line: string) => log.warn({ line }, 'a registry should be looked at') }

  return async function haveWeights(assignment, signal) {
    const { version, gguf } = assignment
    const work = toWork(assignment)
    if (work === null) return gguf
    for (let waitMs = firstWaitMs; !signal.aborted; waitMs = Math.min(longestWaitMs, waitMs * 2)) {
      fetches.begin(version, work.from)
      try {
        const path = await work.run(signal, progress => fetches.progress(version, progress))
        fetches.end(version, 'done', null)
        log.info({ version, source: work.from }, 'weights are here, whole and verified')
        return path
      } catch (error) {
        if (signal.aborted) break
        const { message, retry } = toProblem(error)
        log.info({ version, source: work.from, err: error, retry }, 'weights could not be had')
        const again = ` (tried again in ${waitMs / 60_000} min)`
        fetches.end(version, 'failed', retry === 'never' ? message : `${message}${again}`)
        if (retry === 'never') await aborted(signal)
        else await pause(waitMs, undefined, { signal }).catch(() => {})
      }
    }
    fetches.forget(version)
    return null
  }

  /** `null`: they are there, and nothing is to be checked. */
  function toWork(assignment: EngineAssignment): Work | null {
    const { source: from, gguf, sha256, registry = null, version: name } = assignment
    if (from !== null) {
      const wanted = toWanted(from)
      if (wanted === null || wanted.files.every(file => store.has(wanted.source, file))) return null
      return {
        from,
        async run(signal, onProgress) {
          await fetchArtifact({ ...wanted, registry: hubFilesFrom(registry, parts), signal, onProgress })
          return gguf
        },
      }
    }
    if (existsSync(gguf) || registry === null) {
      if (sha256 === undefined) return null
      return { from: `file:${gguf}`, run: (signal, onProgress) => checked(gguf, { sha256, signal, onProgress }) }
    }
    return {
      from: name,
      run: (signal, onProgress) => published({ ...assignment, registry }, { signal, onProgress }),
    }
  }

  async function checked(path: string, { sha256, signal, onProgress }: Run & { sha256: string }): Promise<string> {
    const why = 'its digest is checked'
    const is = await knownDigests.digestOf(path, { signal, onProgress: done => onProgress({ ...done, why }) })
    if (is === sha256) return path
    throw new ArtifactError(
      'never',
      `it has sha256 ${is}, and the spec says ${sha256}: bring the file that is meant, or give what it is now a version of its own`,
    )
  }

  /** Weights that were a file where the version was published, and are none here. */
  async function published(
    {
      version: name,
      gguf,
      sha256,
      registry,
    }: EngineAssignment & { registry: NonNullable<EngineAssignment['registry']> },
    { signal, onProgress }: Run,
  ): Promise<string> {
    const source = { kind: 'version' as const, name }
    const from = versionFilesFrom(registry, parts)
    const files = (await from?.list(source, signal))?.map(({ path }) => path) ?? []
    const [first] = files.filter(path => /\.gguf$/i.test(path)).toSorted()
    if (from === null || first === undefined)
      throw new ArtifactError(
        'never',
        `${gguf} is not on this host, and the registry '${registry.name}' has no such version with a GGUF file: bring ` +
          `the file, or run holdfast model push ${name} --registry ${registry.name} where it is`,
      )
    await fetchArtifact({ source, files, registry: from, signal, onProgress })
    const path = store.pathOf(source, first)
    return sha256 === undefined ? path : checked(path, { sha256, signal, onProgress })
  }
}

type Run = { signal: AbortSignal; onProgress: (progress: FetchProgress) => void }

/** `from`: as people are told of it. `run` resolves with where the weights are then. */
type Work = { from: string; run: (signal: AbortSignal, onProgress: Run['onProgress']) => Promise<string> }

function toWanted(from: string) {
  const reading = parseArtifactSource(from)
  if (!reading.ok || reading.source.kind !== 'hf') return null
  const files = ggufFiles(reading.source)
  return files.ok ? { source: reading.source, files: files.files } : null
}

const toProblem = (error: unknown): Pick<ArtifactError, 'message' | 'retry'> =>
  error instanceof ArtifactError ? error : { message: String(error), retry: 'later' }
