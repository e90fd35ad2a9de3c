/**
 * Every wall, broken on purpose in a copy of the tree: the tool that holds it must report exactly that, and nothing
 * about the tree as it is.
 */
import { execFile } from 'node:child_process'
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'

const root = resolve(fileURLToPath(new URL('..', import.meta.url)))
const copied = [
  'src',
  'tools',
  'scripts',
  'test/support',
  'test/conformance/table.ts',
  'bench/releases',
  'package.json',
  'tsconfig.json',
  'tsconfig.base.json',
  '.dependency-cruiser.mjs',
  '.oxlintrc.json',
  'knip.jsonc',
  'vitest.config.ts',
]

/** What is put into the copy, and which rules must say so. Files without a rule are there to be imported, or allowed. */
type Plant = { text: string; walls?: string[]; lint?: string[]; types?: string[] }

const plants: Record<string, Plant> = {
  'src/domain/planted/index.ts': { text: "export { secret } from './secret.ts'" },
  'src/domain/planted/secret.ts': { text: 'export const secret = 1' },
  'src/services/planted/index.ts': { text: 'export const service = 1' },
  'src/adapters/planted-a/index.ts': { text: 'export const first = 1' },
  'src/adapters/planted-b/index.ts': { text: 'export const second = 1' },
  'src/adapters/engine/planted-b/index.ts': { text: 'export const kind = 1' },
  'src/apps/planted.ts': { text: 'export const app = 1' },

  // Rings.
  'src/domain/planted/outward.ts': {
    text: "import { service } from '../../services/planted/index.ts'\nexport const x = service",
    walls: ['domain-is-innermost'],
  },
  'src/domain/planted/core.ts': {
    text: "import { readFileSync } from 'node:fs'\nexport const x = readFileSync",
    walls: ['domain-is-pure'],
    types: ['TS2307'],
  },
  'src/domain/planted/package.ts': {
    text: "import { parse } from 'yaml'\nexport const x = parse",
    walls: ['domain-is-pure'],
  },
  'src/domain/planted/schema.ts': {
    text: "import { z } from 'zod'\nexport const x = z",
    walls: ['zod-only-in-spec'],
  },
  'src/domain/spec/planted-schema.ts': { text: "import { z } from 'zod'\nexport const x = z" },
  'src/services/planted/outward.ts': {
    text: "import { first } from '../../adapters/planted-a/index.ts'\nexport const x = first",
    walls: ['services-face-inward'],
  },
  'src/services/planted/package.ts': {
    text: "import type { Agent } from 'undici'\nexport type X = Agent",
    walls: ['services-use-no-package'],
  },
  'src/adapters/planted-a/outward.ts': {
    text: "import { app } from '../../apps/planted.ts'\nexport const x = app",
    walls: ['adapters-face-inward', 'apps-are-outermost'],
  },
  'src/adapters/planted-a/stranger.ts': {
    text: "import { second } from '../planted-b/index.ts'\nexport const x = second",
    walls: ['adapters-are-strangers'],
  },
  'src/adapters/engine/planted-a/stranger.ts': {
    text: "import { kind } from '../planted-b/index.ts'\nexport const x = kind",
    walls: ['kinds-are-strangers'],
  },
  'tools/planted.ts': {
    text: "import { app } from '../src/apps/planted.ts'\nexport const x = app",
    walls: ['apps-are-outermost'],
  },
  'src/apps/planted-tools.ts': {
    text: "import { startFakeEngine } from '../../tools/fake-engine/index.ts'\nexport const x = startFakeEngine",
    walls: ['apps-ship-alone'],
  },
  'src/apps/planted-early.ts': {
    text: "import { takeTurn } from '../adapters/store/postgres/index.ts'\nexport const x = takeTurn",
    walls: ['grown-parts-on-demand'],
  },
  'src/apps/planted-on-demand.ts': {
    text: "import type { Turn } from '../adapters/store/postgres/index.ts'\nexport const x = (): Promise<{ takeTurn: (...of: never) => Promise<Turn | null> }> => import('../adapters/store/postgres/index.ts')",
  },
  'src/apps/planted-development.ts': {
    text: "import fc from 'fast-check'\nexport const x = fc",
    walls: ['no-development-package'],
  },
  'src/apps/planted-door.ts': {
    text: "import { secret } from '../domain/planted/secret.ts'\nexport const x = secret",
    walls: ['front-door:src/domain/planted'],
  },
  'src/apps/planted-one.ts': { text: "import './planted-two.ts'", walls: ['no-cycle'] },
  'src/apps/planted-two.ts': { text: "import './planted-one.ts'" },
  'src/apps/planted-lost.ts': { text: "import './planted-nowhere.ts'", walls: ['resolvable'] },
  'src/domain/planted/anything.test.ts': {
    text: "import 'node:fs'\nimport fc from 'fast-check'\nimport '../../apps/planted.ts'\nexport const x = [fc, Date.now(), Math.random()]",
  },

  // Hidden inputs and platform in the domain.
  'src/domain/planted/clock.ts': {
    text: 'export const x = () => [Date.now(), new Date()]',
    lint: ['eslint(no-restricted-globals)', 'eslint(no-restricted-globals)'],
  },
  'src/domain/planted/dice.ts': {
    text: 'export const x = () => Math.random()',
    lint: ['eslint(no-restricted-properties)'],
  },
  'src/domain/planted/fetch.ts': { text: "export const x = () => fetch('http://localhost')", types: ['TS2304'] },
  'src/domain/planted/process.ts': { text: 'export const x = () => process.pid', types: ['TS2591'] },
  'src/domain/planted/units.ts': {
    text: "import { millis } from '../units.ts'\nimport type { Tokens } from '../units.ts'\nexport const x: Tokens = millis(1)",
    types: ['TS2322'],
  },

  // Habits.
  'src/services/planted/says.ts': { text: "export const x = () => console.log('x')", lint: ['eslint(no-console)'] },
  'src/services/planted/environment.ts': {
    text: "export const x = () => process.env['X']",
    lint: ['eslint(no-restricted-properties)'],
  },
  'src/services/planted/arguments.ts': {
    text: 'export const x = () => process.argv',
    lint: ['eslint(no-restricted-properties)'],
  },
  'src/apps/planted-console.ts': { text: "export const x = () => console.log(process.env['X'], process.argv)" },
  'src/services/planted/any.ts': {
    text: 'export const x = (value: any): unknown => value',
    lint: ['typescript(no-explicit-any)'],
  },
  'src/services/planted/certain.ts': {
    text: 'export const x = (list: number[]): number => list[0]!',
    lint: ['typescript(no-non-null-assertion)'],
  },
  'src/services/planted/four.ts': {
    text: 'export const x = (a: number, b: number, c: number, d: number): number => a + b + c + d',
    lint: ['eslint(max-params)'],
  },
  'src/services/planted/default.ts': { text: 'export default 1', lint: ['import(no-default-export)'] },
  'src/services/planted/nested.ts': {
    text: 'export const x = (a: boolean, b: boolean): number => (a ? 1 : b ? 2 : 3)',
    lint: ['eslint(no-nested-ternary)'],
  },
  'src/services/planted/value-import.ts': {
    text: "import { Agent } from 'node:http'\nexport type X = Agent",
    lint: ['typescript(consistent-type-imports)'],
  },
  'src/services/planted/CamelCase.ts': { text: 'export const x = 1', lint: ['unicorn(filename-case)'] },
}

const copy = mkdtempSync(join(tmpdir(), 'holdfast-walls-'))
let output: Record<'walls' | 'lint' | 'types' | 'unused', string>

beforeAll(async () => {
  for (const name of copied) cpSync(join(root, name), join(copy, name), { recursive: true })
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  for (const [path, { text }] of Object.entries(plants)) {
    mkdirSync(dirname(join(copy, path)), { recursive: true })
    writeFileSync(join(copy, path), `${text}\n`)
  }
  const faults = join(copy, 'src/domain/fault.ts')
  writeFileSync(faults, readFileSync(faults, 'utf8').replace('export type Fault =', "$&\n  | { kind: 'planted' }"))
  const [walls, lint, types, unused] = await Promise.all([
    run(
      'dependency-cruiser/bin/dependency-cruiser.mjs',
      '--config',
      '.dependency-cruiser.mjs',
      '-T',
      'json',
      'src',
      'tools',
      'scripts',
    ),
    run('oxlint/bin/oxlint', '--format', 'json', 'src', 'tools'),
    run('typescript/bin/tsc', '-p', 'src/domain', '--pretty', 'false'),
    run('knip/bin/knip.js', '--reporter', 'json', '--no-progress'),
  ])
  output = { walls, lint, types, unused }
}, 120_000)

afterAll(() => rmSync(copy, { recursive: true, force: true }))

test('an import through a wall is reported, each under its own rule', () => {
  expect(readWalls().filter(({ file }) => file in plants)).toEqual(expected('walls'))
})

test('no import of the tree as it is goes through a wall', () => {
  expect(readWalls().filter(({ file }) => !(file in plants))).toEqual([])
})

test('a clock, dice, a console, the environment and each bad habit are reported, and only where they are banned', () => {
  expect(readLint().filter(({ file }) => file in plants)).toEqual(expected('lint'))
})

test('the platform in the domain, and one unit passed for another, do not compile', () => {
  expect(readTypes().filter(({ file }) => file in plants)).toEqual(expected('types'))
})

test('a fault without a status does not compile, and the domain as it is does', () => {
  expect(readTypes().filter(({ file }) => !(file in plants))).toEqual([{ file: 'src/domain/fault.ts', rule: 'TS2741' }])
})

test('a file and an export that nobody uses are reported', () => {
  const Unused = z.object({
    issues: z.array(
      z.object({
        file: z.string(),
        files: z.array(z.unknown()).default([]),
        exports: z.array(z.object({ name: z.string() })).default([]),
      }),
    ),
  })
  const { issues } = Unused.parse(JSON.parse(output.unused))
  expect(issues.filter(issue => issue.files.length > 0).map(issue => issue.file)).toContain(
    'src/services/planted/says.ts',
  )
})

test('front doors name what they export, and no folder or file is a drawer for everything', () => {
  const files = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).filter(path =>
    path.endsWith('.ts'),
  )
  expect(files.filter(path => /(^|\/)(utils?|helpers?|common|misc)(\/|\.ts$)/.test(path))).toEqual([])
  expect(files.filter(path => /^export \*/m.test(readFileSync(join(root, 'src', path), 'utf8')))).toEqual([])
  const doors = files.filter(path => path.endsWith('/index.ts'))
  expect(doors.filter(path => !readFileSync(join(root, 'src', path), 'utf8').startsWith('/**'))).toEqual([])
})

type Finding = { file: string; rule: string }

function expected(by: 'walls' | 'lint' | 'types'): Finding[] {
  return sorted(Object.entries(plants).flatMap(([file, plant]) => (plant[by] ?? []).map(rule => ({ file, rule }))))
}

function readWalls(): Finding[] {
  const Walls = z.object({
    summary: z.object({ violations: z.array(z.object({ from: z.string(), rule: z.object({ name: z.string() }) })) }),
  })
  const { violations } = Walls.parse(JSON.parse(output.walls)).summary
  return sorted(violations.map(({ from, rule }) => ({ file: from, rule: rule.name })))
}

function readLint(): Finding[] {
  const Lint = z.object({ diagnostics: z.array(z.object({ code: z.string(), filename: z.string() })) })
  const { diagnostics } = Lint.parse(JSON.parse(output.lint))
  return sorted(diagnostics.map(({ filename, code }) => ({ file: filename, rule: code })))
}

function readTypes(): Finding[] {
  const found = output.types.matchAll(/^(\S+)\(\d+,\d+\): error (TS\d+)/gm)
  return sorted(Array.from(found, ([, file = '', rule = '']) => ({ file, rule })))
}

function sorted(findings: Finding[]): Finding[] {
  return findings.toSorted((a, b) => `${a.file} ${a.rule}`.localeCompare(`${b.file} ${b.rule}`))
}

/** What the tool printed; that it exits with an error is the point. */
function run(program: string, ...args: string[]): Promise<string> {
  const path = join(root, 'node_modules', program)
  if (!existsSync(path)) throw new Error(`There is no ${path}: run npm ci.`)
  return new Promise(answer => {
    execFile(
      process.execPath,
      [path, ...args],
      { cwd: copy, maxBuffer: 64 * 1024 * 1024, timeout: 100_000 },
      (_, stdout) => answer(stdout),
    )
  })
}
