/** A model's files, read for parsers that only ask: ranges of bytes, small texts, with patience and within bounds. */
import { setTimeout as pause } from 'node:timers/promises'
import { inflateRawSync } from 'node:zlib'
import { ArtifactError, FormatError, parseJson, textOf, type Reading } from '../domain/catalog/index.ts'
import type { ModelFile, ModelPlace } from './inspect-ports.ts'

export type ModelReader = ReturnType<typeof openModelReader>

/** Of all files together; headers of the largest models are some tens of megabytes. */
const mostReadBytes = 1024 * 1024 * 1024
const tries = 3
const longestWaitMs = 10_000
const jsonBounds = { depth: 64, values: 2_000_000 }
const mostJsonBytes = 64 * 1024 * 1024

/** Every byte is counted, and every fault told with its file, as an ArtifactError. */
export function openModelReader(place: ModelPlace, signal: AbortSignal) {
  let readBytes = 0
  const leftOut: string[] = []

  function explain<T>(path: string, work: () => T): T {
    try {
      return work()
    } catch (error) {
      if (!(error instanceof FormatError)) throw error
      throw new ArtifactError('never', path === '' ? error.message : `${path}: ${error.message}`, { cause: error })
    }
  }

  async function withAny<T>(path: string, work: (file: ModelFile) => Promise<T>): Promise<T | null> {
    const file = await patiently(() => place.open(path), signal)
    if (file === null) return null
    try {
      return await work({
        ...file,
        read: async (at, bytes) => {
          readBytes += bytes
          if (readBytes > mostReadBytes)
            throw new ArtifactError(
              'never',
              `${path}: more than ${mostReadBytes} bytes of headers were read, more than any model has`,
            )
          return patiently(() => file.read(at, bytes), signal)
        },
      })
    } finally {
      await file.close()
    }
  }

  async function withFile<T>(path: string, work: (file: ModelFile) => Promise<T>): Promise<T> {
    const done = await withAny(path, async file => ({ value: await work(file) }))
    if (done === null) throw new ArtifactError('never', `${path}: there is no such file in ${place.name}`)
    return done.value
  }

  async function json(path: string): Promise<unknown> {
    const bytes = await withFile(path, file => {
      if (file.bytes > mostJsonBytes && file.bytes !== Infinity)
        throw new ArtifactError('never', `${path}: ${file.bytes} bytes of JSON; at most ${mostJsonBytes} are read`)
      return file.read(0, Math.min(mostJsonBytes, file.bytes))
    })
    return explain(path, () => parseJson(bytes, jsonBounds))
  }

  return {
    explain,
    with: withFile,
    json,
    readBytes: () => readBytes,
    leftOut: (): readonly string[] => leftOut,
    bytesOf: (path: string): Promise<number | null> => withAny(path, file => Promise.resolve(file.bytes)),
    /** What is there and no JSON is told, and left out: web servers answer pages for files that they don't have. */
    async jsonIfAny(path: string): Promise<unknown> {
      if ((await withAny(path, file => Promise.resolve(file.bytes))) === null) return null
      try {
        return await json(path)
      } catch (error) {
        if (!(error instanceof ArtifactError) || error.retry !== 'never') throw error
        leftOut.push(`Left out: ${error.message}`)
        return null
      }
    },
    /** Its beginning. */
    async textIfAny(path: string, most: number): Promise<string | null> {
      const bytes = await withAny(path, file => file.read(0, Math.min(most, file.bytes)))
      return bytes === null ? null : textOf(bytes)
    },
    parse: <T>(
      path: string,
      reading: (size: number) => Reading<T>,
    ): Promise<{ path: string; bytes: number; result: T }> =>
      withFile(path, async file => ({ path, bytes: file.bytes, result: await run(path, reading(file.bytes), file) })),
  }

  async function run<T>(path: string, reading: Reading<T>, file: ModelFile): Promise<T> {
    let step = explain(path, () => reading.next())
    while (step.done !== true) {
      signal.throwIfAborted()
      const want = step.value
      const bytes = want.kind === 'bytes' ? await file.read(want.at, want.bytes) : explain(path, () => inflate(want))
      step = explain(path, () => reading.next(bytes))
    }
    return step.value
  }
}

function inflate({ deflated, most }: { deflated: Uint8Array; most: number }): Uint8Array {
  try {
    return inflateRawSync(deflated, { maxOutputLength: most })
  } catch {
    throw new FormatError(
      null,
      `an entry of the archive is broken, or unpacks to more than the ${most - 1} bytes that are announced`,
      'Fetch it again from where it was published, and compare its digest.',
    )
  }
}

/** What may be over soon is asked again, a few times. */
async function patiently<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let tried = 1; ; tried++) {
    try {
      return await work()
    } catch (error) {
      signal.throwIfAborted()
      if (!(error instanceof ArtifactError) || error.retry !== 'soon' || tried >= tries) throw error
      await pause(Math.min(longestWaitMs, error.afterMs ?? 500 * 2 ** tried), undefined, { signal })
    }
  }
}
