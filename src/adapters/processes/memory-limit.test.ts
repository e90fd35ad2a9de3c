import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { bytes } from '../../domain/units.ts'
import { memoryBounds, memoryLimit } from './memory-limit.ts'

const gib = 2 ** 30
const roots: string[] = []
afterEach(() => {
  for (const root of roots.splice(0)) rmSync(root, { recursive: true, force: true })
})

/** The limit on a machine of 64 GiB with these files. */
function limitWith(files: Record<string, string>): number {
  const root = mkdtempSync(join(tmpdir(), 'memory-limit-'))
  roots.push(root)
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true })
    writeFileSync(join(root, name), text)
  }
  return memoryLimit({ root, machine: bytes(64 * gib) })
}

test('without control groups the machine is the limit', () => {
  expect(limitWith({})).toBe(64 * gib)
})

test('v2: the limit of the group', () => {
  expect(
    limitWith({
      'proc/self/cgroup': '0::/system.slice/holdfast.service\n',
      'sys/fs/cgroup/system.slice/holdfast.service/memory.max': `${2 * gib}\n`,
    }),
  ).toBe(2 * gib)
})

test('v2: a limit of a group above holds for what is below', () => {
  expect(
    limitWith({
      'proc/self/cgroup': '0::/system.slice/holdfast.service\n',
      'sys/fs/cgroup/system.slice/memory.max': `${gib}\n`,
      'sys/fs/cgroup/system.slice/holdfast.service/memory.max': `${2 * gib}\n`,
    }),
  ).toBe(gib)
})

test('v2: `max` is none, and where the kernel begins to slow things down is one', () => {
  const files = {
    'proc/self/cgroup': '0::/a\n',
    'sys/fs/cgroup/a/memory.max': 'max\n',
  }
  expect(limitWith(files)).toBe(64 * gib)
  expect(limitWith({ ...files, 'sys/fs/cgroup/a/memory.high': `${3 * gib}\n` })).toBe(3 * gib)
})

test('v2: a container sees its own group as the root', () => {
  for (const path of ['/', '/../..', '/docker/0123'])
    expect(limitWith({ 'proc/self/cgroup': `0::${path}\n`, 'sys/fs/cgroup/memory.max': `${gib}\n` })).toBe(gib)
})

test('v1: the limit of the memory group, and none where it is a number beyond all memory', () => {
  const group = '9:name=systemd:/\n4:cpu,memory:/docker/0123\n0::/\n'
  const file = 'sys/fs/cgroup/memory/docker/0123/memory.limit_in_bytes'
  expect(limitWith({ 'proc/self/cgroup': group, [file]: `${5 * gib}\n` })).toBe(5 * gib)
  expect(limitWith({ 'proc/self/cgroup': group, [file]: '9223372036854771712\n' })).toBe(64 * gib)
  expect(limitWith({ 'proc/self/cgroup': group, 'sys/fs/cgroup/memory/memory.limit_in_bytes': `${6 * gib}\n` })).toBe(
    6 * gib,
  )
})

test('v1 and v2 side by side: the lesser one', () => {
  expect(
    limitWith({
      'proc/self/cgroup': '4:memory:/a\n0::/a\n',
      'sys/fs/cgroup/memory/a/memory.limit_in_bytes': `${5 * gib}\n`,
      'sys/fs/cgroup/unified/a/memory.max': `${4 * gib}\n`,
    }),
  ).toBe(4 * gib)
})

test('files that say nothing sensible limit nothing', () => {
  for (const text of ['', 'what?\n', '-1\n', '0\n'])
    expect(limitWith({ 'proc/self/cgroup': '0::/a\nnonsense\n', 'sys/fs/cgroup/a/memory.max': text })).toBe(64 * gib)
})

test('this process uses some of its memory and of its heap, and not all', () => {
  for (const { used, limit } of memoryBounds()) {
    expect(used()).toBeGreaterThan(1_000_000)
    expect(used()).toBeLessThan(limit)
  }
})
