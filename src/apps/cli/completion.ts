/** `holdfast completion`: what makes a shell complete our commands. */
import { Argument, type Command } from 'commander'
import { placesOf } from './completion/tree.ts'
import { shells } from './completion/shells.ts'
import { examples, processIo, type CliIo } from './output.ts'

export function registerCompletion(program: Command, io: CliIo = processIo): void {
  program
    .command('completion')
    .description('Print a script that makes the shell complete holdfast’s commands and options.')
    .addArgument(new Argument('<shell>', 'The shell.').choices(Object.keys(shells)))
    .option('--json', 'The script as JSON.')
    .addHelpText(
      'after',
      `${examples('completion bash', 'completion fish')}

For good:
  bash  echo 'source <(holdfast completion bash)' >> ~/.bashrc
  zsh   echo 'source <(holdfast completion zsh)' >> ~/.zshrc    (after compinit)
  fish  holdfast completion fish > ~/.config/fish/completions/holdfast.fish`,
    )
    .action((shell: string, flags: { json?: boolean }) => {
      // The argument's choices are this table's names.
      const script = shells[shell]?.(placesOf(program)) ?? ''
      io.out(flags.json === true ? JSON.stringify({ shell, script }) : script)
    })
}
