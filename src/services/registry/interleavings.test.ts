import fc from 'fast-check'
import { expect, test } from 'vitest'
import { blobPath, parseMirroredFile, parsePublishedVersion, readRegistryPath } from '../../domain/catalog/index.ts'
import { parseSpec, type Spec } from '../../domain/spec/index.ts'
import { digestFiles } from './digest-files.ts'
import { sha256Of } from './documents.ts'
import { fakeFiles, openFakePlace, type FakePlace } from './fake.ts'
import type { RegistryClock } from './ports.ts'
import { prune } from './prune.ts'
import { publishVersion } from './publish.ts'

const { signal } = new AbortController()
const hourMs = 3_600_000
const commit = 'c'.repeat(40)

/** Three artifacts that share files, so that one's blobs are old when another one is pushed. */
const artifacts = [
  { 'a.gguf': 'weights one', 'common.json': 'shared' },
  { 'b.gguf': 'weights two', 'common.json': 'shared' },
  { 'a.gguf': 'weights one' },
] as const

const names = ['production-v1.0-smoke-fp16-p0', 'production-v1.1-smoke-fp16-p0']

function specWith(temperature: number): Spec {
  const reading = parseSpec({
    apiVersion: 'holdfast/v1',
    name: 'sim',
    versions: names.map(name => ({
      ...{
        name,
        artifact: { from: `hf:owner/name@${commit}` },
        engine: { kind: 'llama-cpp' },
        sampling: { temperature },
      },
    })),
  })
  if (!reading.ok) throw new Error(JSON.stringify(reading.problems))
  return reading.spec
}
const specs = [specWith(0.2), specWith(0.8)]

type Ending = { name: string; outcome: string; artifact: number; spec: number }

/** Gives turns to whoever wants one, in any order, and kills some by never answering them. */
async function play(seed: number): Promise<{ endings: Ending[]; fake: FakePlace; killed: number; pruned: number }> {
  const random = dice(seed)
  let nowMs = Date.UTC(2026, 10, 22)
  let actor = ''
  const waiting: { who: string; pausing: boolean; go: () => void }[] = []
  const dead = new Set<string>()
  const turnOf = (who: string, pausing = false): Promise<void> => {
    const { promise, resolve } = Promise.withResolvers<void>()
    waiting.push({ who, pausing, go: resolve })
    return promise
  }
  // Whoever was let on last is who calls now: between two turns nobody else runs.
  const fake = openFakePlace({ now: () => nowMs, turn: () => turnOf(actor) })
  const clock: RegistryClock = { now: () => new Date(nowMs), pause: () => turnOf(actor, true) }
  let ids = 0
  const newId = (): string => `id-${++ids}`

  for (const artifact of artifacts)
    for (const text of Object.values(artifact))
      if (random() < 0.6) fake.put(blobPath(sha256Of(text)), text, random() < 0.8 ? 48 * hourMs : hourMs)

  const endings: Ending[] = []
  let pruned = 0
  let began = 0

  async function publisher(): Promise<void> {
    const artifact = Math.floor(random() * artifacts.length)
    const spec = Math.floor(random() * specs.length)
    const version = specs[spec]?.versions[Math.floor(random() * names.length)]
    const from = fakeFiles(artifacts[artifact] ?? artifacts[0])
    const chosen = specs[spec]
    if (version === undefined || chosen === undefined) throw new Error('the dice have too many sides')
    const files = await digestFiles(from, { signal, onProgress: () => {} })
    const done = await publishVersion(fake.place, {
      ...{ from, files, spec: chosen, version, chatTemplate: null, newId, clock, signal, onProgress: () => {} },
      mirror: null,
    })
    endings.push({ name: version.name, outcome: done.outcome, artifact, spec })
  }

  async function pruner(): Promise<void> {
    await prune(fake.place, { remove: true, withSources: random() < 0.5, newId, clock, signal })
    pruned++
  }

  const failures: unknown[] = []
  function begin(): void {
    const who = `${++began}`
    actor = who
    const work = random() < 0.5 ? publisher() : pruner()
    work.catch((error: unknown) => failures.push(error))
  }

  for (let left = 3 + Math.floor(random() * 4); left > 0 || waiting.length > 0;) {
    if (left > 0 && (waiting.length === 0 || random() < 0.15)) {
      left--
      // Also long after the others, whose leases and marks are dead by then, or nearly.
      if (waiting.length === 0) nowMs += Math.floor(random() * 3) * 13 * hourMs
      begin()
    } else {
      const [next] = waiting.splice(Math.floor(random() * waiting.length), 1)
      if (next === undefined) continue
      if (random() < 0.02) {
        dead.add(next.who)
        for (let at = waiting.length - 1; at >= 0; at--) if (waiting[at]?.who === next.who) waiting.splice(at, 1)
      } else {
        nowMs += next.pausing && waiting.every(({ pausing }) => pausing) ? 600_000 : 500
        actor = next.who
        next.go()
      }
    }
    // What runs now runs until it wants a turn again.
    await new Promise(setImmediate)
    await everythingNamedIsThere(fake)
  }
  expect(failures).toEqual([])
  return { endings, fake, killed: dead.size, pruned }
}

/** What a document names is there, at every moment, whatever runs. */
function everythingNamedIsThere({ objects }: FakePlace): void {
  for (const [path, { content }] of objects) {
    const at = readRegistryPath(path)
    const named: string[] = []
    if (at.kind === 'version') {
      const reading = parsePublishedVersion(content, at.name)
      if (!reading.ok) throw new Error(`${path}: ${reading.problem}`)
      named.push(...reading.value.artifact.files.map(({ sha256 }) => sha256))
    }
    if (at.kind === 'source') {
      const reading = parseMirroredFile(content)
      if (reading.ok) named.push(reading.value.sha256)
    }
    const lost = named.filter(sha256 => !objects.has(blobPath(sha256)))
    if (lost.length > 0) throw new Error(`${path} names what is not there: ${lost.join(', ')}`)
  }
}

test('R6 R7 pushes, publishes and prunes in any order, killed anywhere: what a version names is never removed', async () => {
  const seen = { killed: 0, pruned: 0, published: 0, already: 0, taken: 0 }
  await fc.assert(
    fc.asyncProperty(fc.integer(), async seed => {
      const { endings, killed, pruned } = await play(seed)
      seen.killed += killed
      seen.pruned += pruned
      for (const { outcome } of endings) if (outcome in seen) seen[outcome as keyof typeof seen]++
      // R5: a name has one meaning; whoever published the same was told so, whoever published another one, too.
      for (const name of names) {
        const winners = endings.filter(ending => ending.name === name && ending.outcome !== 'taken')
        expect(new Set(winners.map(({ artifact, spec }) => `${artifact}/${spec}`)).size).toBeLessThanOrEqual(1)
        expect(winners.filter(({ outcome }) => outcome === 'published').length).toBeLessThanOrEqual(1)
      }
    }),
    { numRuns: 600 },
  )
  // All of it really happened.
  for (const [what, times] of Object.entries(seen)) expect(times, what).toBeGreaterThan(10)
})

/** mulberry32 */
function dice(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}
