/** A controller killed at any moment of erasure or retention: nothing else is lost, the next one finishes, the chain holds. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { instant, keyId } from '../../src/domain/units.ts'
import { anna, openAuditParts } from './audit-parts.ts'
import { aClose } from './records.ts'

const script = fileURLToPath(new URL('./audit-process.ts', import.meta.url))
const dayMs = 86_400_000
const start = Date.UTC(2026, 0, 5, 12)
let root: string
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'holdfast-audit-crash-'))
})
afterEach(() => rmSync(root, { recursive: true, force: true }))

const idAt = (at: number): string => {
  const time = at.toString(16).padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-000000000000`
}

/** Three epochs of 60 requests in many segments: one too old to keep, two that stay. */
async function serve(): Promise<void> {
  let clock = start
  const parts = await openAuditParts({ root, now: () => clock })
  for (const days of [0, 20, 25]) {
    clock = start + days * dayMs
    const journal = parts.openGateway(2_000)
    for (let at = 0; at < 60; at++) {
      const key = keyId(at % 2 === 0 ? 'key_anna' : 'key_bob')
      journal.append(aClose(idAt(clock), { key, alias: null, at: instant(clock) }))
      clock += 1_000
      await journal.settle()
    }
    await journal.close()
  }
  await parts.takeIn()
  await parts.erasing.begin(anna(clock))
  await parts.close()
}

const journalText = (): string =>
  readdirSync(join(root, 'journal'), { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile() && entry.name.endsWith('.jsonl'))
    .map(entry => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
    .join('')

test('erasure and retention killed over and over end as if they had not been', { timeout: 120_000 }, async () => {
  await serve()
  const now = start + 31 * dayMs
  const olderThan = now - 30 * dayMs
  let done = false
  let kills = 0
  for (let round = 0; !done; round++) {
    const child = spawn(process.execPath, [script, root, String(now), String(olderThan)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const closed = once(child, 'close')
    let said = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
    while (!said.includes('begun') && child.exitCode === null) await setTimeout(1)
    // Further into the work each time, until it gets to its end.
    await Promise.race([closed, setTimeout(round * 25 + Math.random() * 20)])
    if (child.exitCode === null && child.kill('SIGKILL')) kills++
    await closed
    done = said.includes('done')
  }
  expect(kills).toBeGreaterThan(0)

  const parts = await openAuditParts({ root, now: () => now })
  const audit = await parts.verify()
  expect(audit).toMatchObject({ result: 'intact' })
  expect(journalText()).not.toContain('key_anna')
  expect(journalText().match(/"t":"close"/g)).toHaveLength(60)
  expect(audit.epochs.flatMap(epoch => epoch.tombstones).reduce((sum, found) => sum + found.lines, 0)).toBe(60)
  expect(await parts.keeper.prepared()).toEqual([])
  const rows = await parts.store.requests.list({ limit: 1_000 })
  expect(rows.filter(row => row.key === 'key_bob')).toHaveLength(60)
  expect(rows.filter(row => row.key === 'erased')).toHaveLength(60)
  expect((await parts.store.requests.usage({ by: 'key' })).map(row => [row.name, row.requests])).toEqual([
    ['erased', 90],
    ['key_bob', 90],
  ])
  await parts.close()
})
