/**
 * After `npm install`: completes package-lock.json. A registry mirror may lack packages for other platforms; npm then
 * leaves them out of the lock, and `npm ci` refuses that lock as incomplete. Each is entered here with what its parent
 * and its name tell: version and platform. It has no digest then, so where npm itself wrote an entry, that one stays.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { z } from 'zod'

// Records, not objects: the order of npm's keys stays.
const Lock = z.record(z.string(), z.unknown())
const Packages = z.record(z.string(), z.record(z.string(), z.unknown()))
const Optional = z.record(z.string(), z.string()).default({})

const file = 'package-lock.json'
const platform =
  /(android|darwin|mac|freebsd|linux|openharmony|win32|win)-(armv7l|arm64|arm|x64|ia32|ppc64|riscv64|s390x)(?:-(gnu|musl))?/
const npmNames: Record<string, string> = { mac: 'darwin', win: 'win32', armv7l: 'arm', gnu: 'glibc' }

const lock = Lock.parse(JSON.parse(readFileSync(file, 'utf8')))
const packages = Packages.parse(lock['packages'])
const missing = Object.entries(packages).flatMap(([path, entry]) =>
  Object.entries(Optional.parse(entry['optionalDependencies']))
    .filter(([name]) => !isLocked(path, name))
    .map(([name, version]) => [`node_modules/${name}`, toEntry(name, version, entry['dev'] === true)] as const),
)
if (missing.length > 0) {
  const all = Object.entries({ ...packages, ...Object.fromEntries(missing) })
  const sorted = Object.fromEntries(all.toSorted(([a], [b]) => a.localeCompare(b, 'en')))
  writeFileSync(file, `${JSON.stringify({ ...lock, packages: sorted }, null, 2)}\n`)
}
process.stdout.write(`${missing.length} packages of other platforms entered in ${file}.\n`)

/** Looked for as Node does: below the one that asks, then below every folder above it. */
function isLocked(asker: string, name: string): boolean {
  if (packages[asker === '' ? `node_modules/${name}` : `${asker}/node_modules/${name}`] !== undefined) return true
  if (asker === '') return false
  return isLocked(asker.slice(0, Math.max(0, asker.lastIndexOf('/node_modules/'))), name)
}

/** `@oxlint/binding-linux-arm64-musl`: the end of the name is the platform. */
function toEntry(name: string, version: string, dev: boolean) {
  const [, system, processor, libc] = platform.exec(name) ?? []
  if (system === undefined || processor === undefined || !/^\d+\.\d+\.\d+/.test(version))
    throw new Error(`${name}@${version} is not in the lock, and its name does not tell its platform.`)
  return {
    version,
    cpu: [npmNames[processor] ?? processor],
    ...(dev ? { dev } : {}),
    ...(system === 'linux' && libc !== undefined ? { libc: [npmNames[libc] ?? libc] } : {}),
    optional: true,
    os: [npmNames[system] ?? system],
  }
}
