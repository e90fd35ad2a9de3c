/** Fetch artifact: brings a source's files from a registry into the store, whole and verified, going on after every cut. */
import { setTimeout as timer } from 'node:timers/promises'
import { ArtifactError, type HubSource, type PinnedFile } from '../domain/catalog/index.ts'
import type { ArtifactPart, ArtifactStore, Registry } from './artifact-ports.ts'

/** `why`: what is being waited for; `null` while bytes come. */
export type FetchProgress = { doneBytes: number; totalBytes: number; why: string | null }

export type FetcherParts = {
  registry: Registry
  store: ArtifactStore
  /** Tests need not wait. */
  pause?: (waitMs: number, signal: AbortSignal) => Promise<void>
}

export type FetchOrder = {
  source: HubSource
  /** Paths in the repository. All are GGUF files. */
  files: readonly string[]
  signal: AbortSignal
  /** Called for every piece that came: dozens of times a second. */
  onProgress: (progress: FetchProgress) => void
}

/** In a row, without one byte more than before. */
const mostFailures = 5
const firstWaitMs = 1_000
const longestWaitMs = 16_000
/** A registry's limits are over windows of five minutes. */
const longestAskedMs = 300_000

/**
 * The answer resolves when all files are in the store, under this source's name. It rejects with an ArtifactError, whose
 * `retry` is `later` or `never`, or with the signal's reason. Nothing that is not verified gets a name.
 */
export function openFetcher({ registry, store, pause = rest }: FetcherParts): (order: FetchOrder) => Promise<void> {
  /** By digest: two sources may name the same file, and a part has one writer. */
  const busy = new Map<string, Promise<void>>()

  return async function fetchArtifact({ source, files, signal, onProgress }) {
    const progress: FetchProgress = { doneBytes: 0, totalBytes: 0, why: null }
    const tell = (change: Partial<FetchProgress>): void => onProgress(Object.assign(progress, change))

    const wanted: PinnedFile[] = []
    for (const path of files.filter(file => !store.has(source, file))) {
      const file = await patiently(() => registry.locate(source, path, signal), { signal, tell })
      if (!(await store.name(source, file))) wanted.push(file)
    }
    if (wanted.length === 0) return

    const here = await Promise.all(wanted.map(file => store.partBytes(file)))
    const totalBytes = wanted.reduce((sum, file) => sum + file.bytes, 0)
    tell({ totalBytes, doneBytes: here.reduce((sum, bytes) => sum + bytes, 0) })
    await checkSpace(store, { totalBytes, missing: totalBytes - progress.doneBytes, name: files[0] ?? '' })

    let before = 0
    for (const file of wanted) {
      await oneAtATime(file, async () => {
        if (await store.name(source, file)) return
        await bring(file, { signal, tell: change => tell({ ...change, doneBytes: before + (change.doneBytes ?? 0) }) })
        await store.name(source, file)
      })
      before += file.bytes
      tell({ doneBytes: before, why: null })
    }
  }

  async function oneAtATime(file: PinnedFile, work: () => Promise<void>): Promise<void> {
    const { hex } = file.digest
    for (let other = busy.get(hex); other !== undefined; other = busy.get(hex)) await other.catch(() => {})
    const mine = work()
    busy.set(hex, mine)
    try {
      await mine
    } finally {
      busy.delete(hex)
    }
  }

  /** Until the file is in the store. Bytes that are not the registry's digest are fetched once more, from the beginning. */
  async function bring(file: PinnedFile, { signal, tell }: Telling): Promise<void> {
    for (let tries = 0; ; tries++) {
      const part = await store.openPart(file, signal)
      try {
        await patiently(() => transfer(file, part, { signal, tell }), {
          signal,
          tell: change => tell({ doneBytes: part.bytes, ...change }),
          reached: () => part.bytes,
        })
      } catch (error) {
        await part.close()
        throw error
      }
      const end = await part.finish()
      if (end.ok) return
      if (tries > 0) throw mismatch(file, end.hex)
    }
  }

  async function transfer(file: PinnedFile, part: ArtifactPart, { signal, tell }: Telling): Promise<void> {
    await checkMagic(file, part)
    tell({ doneBytes: part.bytes, why: null })
    if (part.bytes === file.bytes) return
    const { offset, etag, bytes } = await registry.read(file, { offset: part.bytes, etag: part.etag }, signal)
    // An empty part, too: it keeps the etag.
    if (offset === 0) await part.restart(etag)
    for await (const piece of bytes) {
      if (part.bytes + piece.length > file.bytes) {
        await part.restart(null)
        throw new ArtifactError('soon', `${file.path}: more bytes came than the ${file.bytes} it has`)
      }
      await part.append(piece)
      await checkMagic(file, part)
      tell({ doneBytes: part.bytes, why: null })
    }
    if (part.bytes < file.bytes)
      throw new ArtifactError('soon', `${file.path}: the connection ended after ${part.bytes} of ${file.bytes} bytes`)
  }

  /** Does it again after what may be over soon. `reached`: how far it got, which makes failures forgotten. */
  async function patiently<T>(
    work: () => Promise<T>,
    { signal, tell, reached = () => 0 }: Telling & { reached?: () => number },
  ): Promise<T> {
    let furthest = reached()
    for (let failures = 0; ;) {
      try {
        return await work()
      } catch (error) {
        signal.throwIfAborted()
        if (!(error instanceof ArtifactError) || error.retry !== 'soon') throw error
        const far = reached()
        failures = far > furthest ? 1 : failures + 1
        furthest = Math.max(far, furthest)
        if (failures > mostFailures)
          throw new ArtifactError('later', error.message, { afterMs: error.afterMs, cause: error })
        const growingMs = Math.min(longestWaitMs, firstWaitMs * 2 ** (failures - 1))
        const waitMs = Math.min(longestAskedMs, error.afterMs ?? growingMs)
        tell({ why: `${error.message}; again in ${Math.ceil(waitMs / 1000)} s` })
        await pause(waitMs, signal)
      }
    }
  }
}

type Telling = { signal: AbortSignal; tell: (change: Partial<FetchProgress>) => void }

async function checkSpace(
  store: ArtifactStore,
  { totalBytes, missing, name }: { totalBytes: number; missing: number; name: string },
): Promise<void> {
  const free = await store.free()
  if (free.bytes >= missing) return
  throw new ArtifactError(
    'later',
    `${name} has ${gigabytes(totalBytes)}, of which ${gigabytes(missing)} are missing, and ${free.folder} has room for ` +
      `${gigabytes(free.bytes)}: free some space there, or set HOLDFAST_HOME to a folder on a larger disk`,
  )
}

/** Told before gigabytes of something else have come. */
async function checkMagic(file: PinnedFile, part: ArtifactPart): Promise<void> {
  const { magic } = part
  if (magic === 'GGUF' || (magic.length < 4 && magic.length < file.bytes)) return
  await part.restart(null)
  throw new ArtifactError(
    'never',
    `${file.path} of ${file.repository} is no GGUF file (it starts with ${JSON.stringify(magic)}): name one that is`,
  )
}

const mismatch = ({ path, repository, commit, bytes, digest }: PinnedFile, hex: string): ArtifactError =>
  new ArtifactError(
    'never',
    `${path}: all ${bytes} bytes came, twice, with ${digest.algorithm} ${hex}, and ${repository}@${commit.slice(0, 8)} has ` +
      `${digest.hex}: something between here and the hub changes them. Nothing was kept`,
  )

const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(bytes < 1e8 ? 3 : 1)} GB`

const rest = (waitMs: number, signal: AbortSignal): Promise<void> => timer(waitMs, undefined, { signal })
