/** A registry in memory, for tests: every verb takes two turns, so that whoever gives the turns can put anything in between. */
import { createHash } from 'node:crypto'
import { ArtifactError } from '../../domain/catalog/index.ts'
import type { ArtifactFiles, ObjectPlace, RegistryClock } from './ports.ts'

export type FakeObject = { content: Uint8Array; modifiedAt: Date }

export type FakePlace = {
  place: ObjectPlace
  objects: Map<string, FakeObject>
  /** Puts an object there, as old as said. */
  put(path: string, content: string, ageMs?: number): void
}

export type FakeOptions = {
  now?: () => number
  /** Before a verb does something, and before its answer arrives. */
  turn?: () => Promise<void>
  freeBytes?: number | null
}

export function openFakePlace({
  now = () => 0,
  turn = () => Promise.resolve(),
  freeBytes = null,
}: FakeOptions = {}): FakePlace {
  const objects = new Map<string, FakeObject>()
  const keep = (path: string, content: Uint8Array): void => {
    objects.set(path, { content, modifiedAt: new Date(now()) })
  }
  async function inTurn<T>(work: () => T): Promise<T> {
    await turn()
    const answer = work()
    await turn()
    return answer
  }
  return {
    objects,
    put: (path, content, ageMs = 0) =>
      void objects.set(path, { content: new TextEncoder().encode(content), modifiedAt: new Date(now() - ageMs) }),
    place: {
      name: 'memory',
      head: path =>
        inTurn(() => {
          const object = objects.get(path)
          return object === undefined ? null : { bytes: object.content.length, modifiedAt: object.modifiedAt }
        }),
      async *read(path, { from, to }) {
        const content = await inTurn(() => objects.get(path)?.content)
        if (content === undefined || content.length < to) throw new ArtifactError('never', `no such bytes of ${path}`)
        yield content.subarray(from, to)
      },
      async write(path, { bytes, sha256, open, onProgress }) {
        await turn()
        const pieces: Uint8Array[] = []
        for await (const piece of open({ from: 0, to: bytes })) pieces.push(piece)
        const content = Buffer.concat(pieces)
        if (createHash('sha256').update(content).digest('hex') !== sha256)
          throw new ArtifactError('later', `other bytes came than ${sha256}`)
        keep(path, content)
        onProgress(bytes)
        await turn()
      },
      create: (path, content) =>
        inTurn(() => {
          if (objects.has(path)) return 'exists'
          keep(path, content)
          return 'created'
        }),
      remove: path => inTurn(() => void objects.delete(path)),
      async *list(prefix) {
        const listed = await inTurn(() =>
          [...objects].map(([path, { content, modifiedAt }]) => ({ path, bytes: content.length, modifiedAt })),
        )
        yield* listed.filter(({ path }) => path.startsWith(prefix))
      },
      free: () => inTurn(() => freeBytes),
    },
  }
}

export function fakeFiles(files: Readonly<Record<string, string>>): ArtifactFiles {
  const bytesOf = (path: string): Uint8Array => new TextEncoder().encode(files[path] ?? '')
  return {
    name: 'a folder',
    list: () => Promise.resolve(Object.keys(files).map(path => ({ path, bytes: bytesOf(path).length }))),
    async *open(path, { from, to }) {
      yield bytesOf(path).subarray(from, to)
    },
  }
}

/** Waiting takes no time here, and makes it pass. */
export function openFakeClock(
  startMs = Date.UTC(2026, 10, 22),
): RegistryClock & { pass(ms: number): void; ms(): number } {
  let nowMs = startMs
  return {
    now: () => new Date(nowMs),
    ms: () => nowMs,
    pass: ms => void (nowMs += ms),
    pause: ms => {
      nowMs += ms
      return Promise.resolve()
    },
  }
}
