/** Fetch artifact: brings a source's files from a registry into the store, whole and verified, going on after every cut. */
import { setTimeout as timer } from 'node:timers/promises'
import { ArtifactError, type PinnedFile } from '../../domain/catalog/index.ts'
import { size } from '../../domain/size.ts'
import type { ArtifactPart, ArtifactStore, NamedSource, Registry } from '../artifact-ports.ts'
import { patiently, type Patience } from '../patiently.ts'
import { openSlots, sideBySide } from './side-by-side.ts'
import { transfer, type RangeSizes } from './transfer.ts'

/** `why`: what is being waited for; `null` while bytes come. */
export type FetchProgress = { doneBytes: number; totalBytes: number; why: string | null }

export type FetcherParts = {
  store: ArtifactStore
  /** In all, whatever is fetched at once. */
  connections?: number
  ranges?: RangeSizes
  /** Tests need not wait. */
  pause?: Patience['pause']
}

export type FetchOrder<Source extends NamedSource = NamedSource> = {
  source: Source
  registry: Registry<Source>
  /** Paths in the source. Those that end in `.gguf` must be such files. */
  files: readonly string[]
  signal: AbortSignal
  /** Called for every piece that came: hundreds of times a second. */
  onProgress: (progress: FetchProgress) => void
}

export type Fetcher = <Source extends NamedSource>(order: FetchOrder<Source>) => Promise<void>

const usualConnections = 6
const usualRanges: RangeSizes = { from: 64 * 1024 * 1024, each: 32 * 1024 * 1024 }
const lookEveryMs = 500

/**
 * The answer resolves when all files are in the store, under this source's name. It rejects with an ArtifactError, whose
 * `retry` is `later` or `never`, or with the signal's reason. Nothing that is not verified gets a name.
 */
export function openFetcher({
  store,
  connections = usualConnections,
  ranges = usualRanges,
  pause = rest,
}: FetcherParts): Fetcher {
  const slots = openSlots(connections)
  /** By digest: two sources may name the same file. Another process is kept out by the store. */
  const busy = new Map<string, Promise<void>>()

  return async function fetchArtifact({ source, registry, files, signal, onProgress }) {
    const progress: FetchProgress = { doneBytes: 0, totalBytes: 0, why: null }
    const tell = (change: Partial<FetchProgress>): void => onProgress(Object.assign(progress, change))
    const wait = (why: string | null): void => tell({ why })

    const wanted = await locateAll()
    if (wanted.length === 0) return
    const parts = await Promise.all(wanted.map(file => store.partBytes(file)))
    const done = parts.map(({ there }) => there)
    const sum = (): number => done.reduce((all, bytes) => all + bytes, 0)
    const totalBytes = wanted.reduce((all, { bytes }) => all + bytes, 0)
    tell({ totalBytes, doneBytes: sum() })
    const occupied = parts.reduce((all, part) => all + part.occupied, 0)
    await checkSpace(store, { totalBytes, missing: totalBytes - occupied, name: files[0] ?? '' })

    await sideBySide([...wanted.entries()], { most: connections, signal }, async ([i, file], either) => {
      const came = (bytes: number, why: string | null): void => {
        done[i] = bytes
        tell({ doneBytes: sum(), why })
      }
      await oneAtATime(file, () => bring(file, { registry, signal: either, came }))
      if (!(await store.name(source, file))) throw new Error(`${file.path} was removed while it was fetched`)
      came(file.bytes, null)
    })

    /** Those that are not here yet, in the order they were named. */
    async function locateAll(): Promise<PinnedFile[]> {
      const found = new Map<string, PinnedFile>()
      const unknown = files.filter(path => !store.has(source, path))
      await sideBySide([...unknown], { most: connections, signal }, async (path, either) => {
        const locate = (): Promise<PinnedFile | null> => slots(() => registry.locate(source, path, either), either)
        const file = await patiently(locate, { signal: either, pause, tell: wait })
        if (file === null) throw new ArtifactError('never', `${path} is not where it is looked for`)
        if (!(await store.name(source, file))) found.set(path, file)
      })
      return unknown.flatMap(path => found.get(path) ?? [])
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
  async function bring(file: PinnedFile, { registry, signal, came }: Bringing): Promise<void> {
    const lies = registry.lies?.(file) ?? null
    if (lies !== null && (await store.adopt(file, lies, signal))) return
    for (let tries = 0; ; tries++) {
      const part = await openWhenFree(file, { signal, came })
      if (part === null) return
      const end = await fill(file, part, { registry, signal, came })
      if (end.ok) return
      if (tries > 0) throw mismatch(file, end.hex)
    }
  }

  async function fill(
    file: PinnedFile,
    part: ArtifactPart,
    { registry, signal, came }: Bringing,
  ): ReturnType<ArtifactPart['finish']> {
    const tell = (why: string | null): void => came(part.bytes, why)
    try {
      tell(null)
      await transfer(file, part, { registry, slots, connections, ranges, signal, pause, tell })
      return await part.finish()
    } catch (error) {
      await part.close()
      throw error
    }
  }

  /** `null`: another process of this host has brought it. */
  async function openWhenFree(
    file: PinnedFile,
    { signal, came }: Pick<Bringing, 'signal' | 'came'>,
  ): Promise<ArtifactPart | null> {
    for (;;) {
      const part = await store.openPart(file, signal)
      if (part !== null) return part
      if (await store.holds(file)) return null
      came((await store.partBytes(file)).there, 'another process of this host fetches it')
      await pause(lookEveryMs, signal)
    }
  }
}

type Bringing = {
  registry: Pick<Registry, 'read' | 'lies'>
  signal: AbortSignal
  came: (bytes: number, why: string | null) => void
}

async function checkSpace(
  store: ArtifactStore,
  { totalBytes, missing, name }: { totalBytes: number; missing: number; name: string },
): Promise<void> {
  const free = await store.free()
  if (free.bytes >= missing) return
  throw new ArtifactError(
    'later',
    `${name} has ${size(totalBytes)}, of which ${size(missing)} are missing, and ${free.folder} has room for ` +
      `${size(free.bytes)}: free some space there, or set HOLDFAST_HOME to a folder on a larger disk`,
  )
}

const mismatch = ({ path, repository, commit, bytes, digest }: PinnedFile, hex: string): ArtifactError =>
  new ArtifactError(
    'never',
    `${path}: all ${bytes} bytes came, twice, with ${digest.algorithm} ${hex}, and ${repository}` +
      `${commit === '' ? '' : `@${commit.slice(0, 8)}`} has ${digest.hex}: they were damaged there, or something in between changes ` +
      `them. Nothing was kept`,
  )

const rest = (waitMs: number, signal: AbortSignal): Promise<void> => timer(waitMs, undefined, { signal })
