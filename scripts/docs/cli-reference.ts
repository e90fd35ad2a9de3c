/** docs/reference/cli.md, from the command line's own definitions. */
import type { Command } from 'commander'
import { defineProgram } from '../../src/apps/cli/index.ts'

export async function cliReference(): Promise<Record<string, string>> {
  const program = await defineProgram({ env: {}, entry: '' })
  const pages = leaves(program).map(command => `## ${nameOf(command)}\n\n\`\`\`text\n${helpOf(command)}\n\`\`\``)
  return {
    'docs/reference/cli.md': `<!-- Made by npm run docs. -->
# The command line

From a clone, \`npm start -- [spec] [flags]\` is \`holdfast up\`, and \`npm run -s holdfast -- <command>\` is any command.

${pages.join('\n\n')}
`,
  }
}

/** The program itself and every command that does something. */
function leaves(command: Command): Command[] {
  const below = command.commands.flatMap(leaves)
  // `gateway` has options of its own beside its subcommands.
  const does = command.parent === null || command.commands.length === 0 || command.options.length > 0
  return does ? [command, ...below] : below
}

function nameOf(command: Command): string {
  return command.parent === null ? command.name() : `${nameOf(command.parent)} ${command.name()}`
}

/** What \`--help\` prints, at a width that does not depend on who makes the page. */
function helpOf(command: Command): string {
  let text = ''
  command.configureOutput({
    writeOut: part => {
      text += part
    },
    getOutHelpWidth: () => 100,
    getOutHasColors: () => false,
  })
  command.outputHelp()
  return text.trimEnd()
}
