/** Memory limits: how much this process may use, and how much of it is used, as the control group, the machine and V8 say. */
import { readFileSync } from 'node:fs'
import { totalmem } from 'node:os'
import { join } from 'node:path'
import { memoryUsage } from 'node:process'
import { getHeapStatistics } from 'node:v8'
import { bytes, type Bytes } from '../../domain/units.ts'
import type { MemoryBound } from '../../services/serve/index.ts'

/**
 * What can run out for this process: memory, of the control group or the machine, and V8's heap. Its own resident memory counts
 * and not the group's: an embedded engine's weights may fill most of that for good, and no request less would free them.
 */
export function memoryBounds(): MemoryBound[] {
  return [
    { used: () => bytes(memoryUsage.rss()), limit: memoryLimit({ root: '/', machine: bytes(totalmem()) }) },
    {
      used: () => bytes(getHeapStatistics().used_heap_size),
      limit: bytes(getHeapStatistics().heap_size_limit),
    },
  ]
}

/** The least of what the machine has and what each control group (v2, v1 or both) above this process allows. `root`: where /proc and /sys are. */
export function memoryLimit({ root, machine }: { root: string; machine: Bytes }): Bytes {
  const limits = groupsOf(read(join(root, 'proc/self/cgroup')) ?? '').flatMap(({ version, path }) =>
    foldersOf(path).flatMap(folder => files[version].map(file => limitIn(join(root, file.mount, folder, file.name)))),
  )
  return bytes(Math.min(machine, ...limits))
}

type Group = { version: 'v1' | 'v2'; path: string }

const files = {
  v1: [{ mount: 'sys/fs/cgroup/memory', name: 'memory.limit_in_bytes' }],
  v2: ['sys/fs/cgroup', 'sys/fs/cgroup/unified'].flatMap(mount => [
    { mount, name: 'memory.max' },
    // Above it the kernel slows a process until it is as good as dead.
    { mount, name: 'memory.high' },
  ]),
} as const

/** Lines are `number:controllers:path`; v2's has number 0 and names no controllers. */
function groupsOf(text: string): Group[] {
  return text.split('\n').flatMap((line): Group[] => {
    const [number, controllers, ...rest] = line.split(':')
    const path = rest.join(':')
    if (number === '0' && controllers === '') return [{ version: 'v2', path }]
    return controllers?.split(',').includes('memory') === true ? [{ version: 'v1', path }] : []
  })
}

/**
 * The group's folder and all above it: a limit holds for everything below. In a container the mount shows only the group
 * itself as its root, so paths that are not there, or lead out of it, are passed over.
 */
function foldersOf(path: string): string[] {
  const names = path.split('/').filter(name => name !== '')
  if (names.includes('..')) return ['']
  return [...names.keys(), names.length].map(depth => names.slice(0, depth).join('/'))
}

/** `Infinity`: none. v2 says `max`, v1 a number beyond all memory. */
function limitIn(file: string): number {
  const limit = Number(read(file)?.trim() || NaN)
  return Number.isFinite(limit) && limit > 0 ? limit : Infinity
}

function read(file: string): string | null {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return null
  }
}
