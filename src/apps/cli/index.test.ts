import type { Command } from 'commander'
import { describe, expect, test } from 'vitest'
import { defineProgram, runCommandLine } from './index.ts'

const program = defineProgram({ env: {}, entry: '' })

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
