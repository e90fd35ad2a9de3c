import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import { describe, expect, test } from 'vitest'
import { defineProgram, runCommandLine } from './index.ts'

const main = fileURLToPath(new URL('../main.ts', import.meta.url))
const program = await defineProgram({ env: {}, entry: '' })

/** Commands that do something, with their whole names. */
function leaves(command: Command, name = 'holdfast'): { name: string; command: Command }[] {
  if (command.commands.length === 0) return [{ name, command }]
  return command.commands.flatMap(sub => leaves(sub, `${name} ${sub.name()}`))
}

describe.each(leaves(program))('$name', ({ name, command }) => {
  test('its help has a sentence, examples of itself, and --json', () => {
    let help = ''
    command.configureOutput({ writeOut: text => void (help += text), getOutHelpWidth: () => 100 })
    command.outputHelp()
    expect(command.description()).toMatch(/^[A-Z].*\.$/)
    expect(help).toMatch(new RegExp(`Examples:\n  \\$ ${name}`))
    expect(help).toContain('--json')
  })
})

test('a command is defined by itself, and like this as among all', async () => {
  const all = await defineProgram({ env: {}, entry: '' })
  for (const whole of all.commands) {
    const { commands } = await defineProgram({ env: {}, entry: '' }, [whole.name()])
    const one = commands.find(command => command.name() === whole.name())
    expect(one?.helpInformation()).toBe(whole.helpInformation())
    if (whole.name() !== 'completion') expect(commands.length).toBeLessThan(3)
  }
})

test('a command’s own commands too', async () => {
  const { commands } = await defineProgram({ env: {}, entry: '' }, ['model', 'list', '--json'])
  expect(commands.flatMap(({ commands }) => commands.map(command => command.name()))).toEqual(['list'])
})

test('a command loads what it needs, and nothing of the others', () => {
  const listLoads = `
    import { registerHooks } from 'node:module'
    const loaded = []
    registerHooks({ load: (url, context, next) => (loaded.push(url), next(url, context)) })
    process.on('exit', () => console.error(loaded.join('\\n')))`
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ['--import', `data:text/javascript,${encodeURIComponent(listLoads)}`, main, 'version'],
    { encoding: 'utf8' },
  )
  expect(stdout).toMatch(/^holdfast /)
  expect(stderr).toContain('apps/cli/version.ts')
  expect(stderr).not.toMatch(/src\/(domain|services|adapters)\//)
})

test.each([
  ['nonsense'],
  ['up', '--port', 'high'],
  ['key', 'create', '--colour', 'red'],
  ['logs', '--limit', '0'],
  ['chat', '--max-tokens', 'many'],
])('wrong usage (%s …) is exit code 2', async (...words) => {
  const write = process.stderr.write
  process.stderr.write = () => true
  try {
    expect(await runCommandLine({ argv: ['node', 'holdfast', ...words], env: {}, entry: '' })).toBe(2)
  } finally {
    process.stderr.write = write
  }
})
