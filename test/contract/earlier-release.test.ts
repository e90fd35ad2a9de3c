/** A state folder that the release before wrote (0.1.0, before limits and budgets) is good for this one: docs/design/0018-zero-cut.md. */
import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openJournalReader } from '../../src/adapters/journal/index.ts'
import { openGatewayDisk } from '../../src/adapters/link/index.ts'
import { readEngines } from '../../src/apps/engines-file.ts'
import { openGatewayState } from '../../src/apps/gateway-state.ts'
import { loadServing } from '../../src/apps/last-good.ts'
import { openHome } from '../../src/apps/paths.ts'
import { readServiceFacts } from '../../src/apps/service-file.ts'
import { epochStart } from '../../src/domain/journal/index.ts'
import { compileSnapshot, type GatewayFrame, type Snapshot } from '../../src/domain/serving/index.ts'
import { parseSpec, withDefaults } from '../../src/domain/spec/index.ts'

const written = fileURLToPath(new URL('./testdata/earlier-release', import.meta.url))

let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'hf-earlier-'))
  cpSync(written, root, { recursive: true })
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

function openState() {
  return openGatewayState({
    disk: openGatewayDisk(join(root, 'gateway')),
    onSnapshot() {},
    onPeers() {},
    onSpend() {},
    now: () => 0,
    elapsed: () => 0,
  })
}

test('a gateway starts from it: with every field that this release asks of a snapshot, and the key', () => {
  const state = openState()
  expect(state.complete()).toBe(true)
  expect(missing(state.snapshot())).toEqual([])
  const held = [...state.access().keys.values()]
  expect(held.map(({ alias, team }) => [alias, team])).toContainEqual(['anna', 'research'])
})

test('a controller whose spec broke serves its last good state', async () => {
  const broken = join(root, 'holdfast.yaml')
  writeFileSync(broken, 'models: 7\n')
  const { serving, spec } = await loadServing(openHome(root), { spec: broken, fragment: null })
  expect(spec.state).toBe('invalid')
  expect(serving.teams.map(({ name }) => name)).toEqual(['research'])
  expect(missing(serving.snapshot)).toEqual([])
})

test('its journal is read line by line', async () => {
  const reader = openJournalReader({ folder: join(root, 'journal') })
  const [epoch] = await reader.epochs()
  const reading = await reader.read(epoch ?? '', epochStart)
  if (reading.kind !== 'lines') throw new Error(`expected lines, got ${reading.kind}`)
  expect(reading.lines.map(({ text }) => reader.parse(text)?.t)).toEqual(['close', 'block', 'block'])
})

test('status and the agent read what its processes left', () => {
  const home = openHome(root)
  expect(readServiceFacts(home.service)?.processes.map(({ role }) => role)).toEqual([
    'up',
    'controller',
    'agent',
    'gateway',
  ])
  expect(readEngines(home.engines)).toEqual({ engines: [], processes: [] })
})

test('a frame of a type that only a later controller sends changes nothing', () => {
  const state = openState()
  const before = state.held()
  // What no release sends yet.
  state.take({ type: 'from-the-future', anything: 1 } as unknown as GatewayFrame)
  expect(state.held()).toEqual(before)
})

/** Paths of what this release compiles for the same spec and `snapshot` does not have. */
function missing(snapshot: Snapshot): string[] {
  const spec = parseSpec({
    versions: [
      {
        name: 'production-v1.0-m-8b-fp16-p0',
        engine: { kind: 'vllm' },
        replicas: [{ id: 'a', url: 'http://127.0.0.1:9/v1' }],
      },
    ],
    models: [{ name: 'm', live: 'production-v1.0-m-8b-fp16-p0' }],
  })
  if (!spec.ok) throw new Error('the spec of this test is not valid')
  const now = compileSnapshot(withDefaults(spec.spec), { socketFor: id => id, digest: text => text })
  return lacking(now, snapshot)
}

function lacking(wanted: unknown, found: unknown, path = ''): string[] {
  if (found === undefined) return [path]
  if (typeof wanted !== 'object' || wanted === null || typeof found !== 'object' || found === null) return []
  return Object.entries(wanted).flatMap(([key, item]) =>
    // An index of a list or a name of an object.
    lacking(item, (found as Record<string, unknown>)[key], `${path}.${key}`),
  )
}
