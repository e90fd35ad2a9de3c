/** `holdfast up`: the whole service. */
import type { Command } from 'commander'
import type { UpOptions } from '../up.ts'
import { examples } from './output.ts'
import { stopOnSignals } from './stop-on-signals.ts'
import { wholeNumber } from './whole-number.ts'

export function registerUp(program: Command, { env }: { env: NodeJS.ProcessEnv }): void {
  program
    .command('up')
    .description('Run the service here: gateway, controller, agent, and the embedded engine when it is needed.')
    .argument('[spec]', 'The spec (holdfast.yaml). None: a complete service on the embedded engine.')
    .option('--host <address>', 'IP address to listen on (default: the spec’s, else 127.0.0.1).')
    .option(
      '--port <number>',
      'Port to listen on; 0 takes a free one (default: the spec’s, else 8080).',
      wholeNumber(0, 65_535),
    )
    .option('--gguf <file>', 'Serve these weights on the embedded engine.')
    .option(
      '--model <source>',
      'Fetch a GGUF from Hugging Face and serve it: hf:<owner>/<repository>@<commit>:<file>.gguf.',
    )
    .option(
      '--engine <url>',
      'Serve the models of an engine that runs already; its key, if any, in HOLDFAST_ENGINE_KEY.',
    )
    .option('--verbose', 'Show what the processes do.')
    .option('--json', 'When it is up, print one line of JSON.')
    .addHelpText(
      'after',
      examples(
        'up',
        'up holdfast.yaml --port 9000',
        'up --gguf ./qwen2.5-coder-7b-instruct-q4_k_m.gguf',
        'up --model hf:owner/repository@4f1c2d9e:model-Q4_K_M.gguf',
        'up --engine http://127.0.0.1:11434/v1',
      ),
    )
    .action(async (spec: string | undefined, flags: Omit<UpOptions, 'spec'>) => {
      const { runUp } = await import('../up.ts')
      await runUp(
        { ...flags, ...(spec === undefined ? {} : { spec }) },
        {
          env,
          say: text => process.stdout.write(text),
          terminal: process.stdout.isTTY === true,
          // A terminal that goes away ends the service; without one, the signal means what it means to daemons.
          signal: stopOnSignals({ hangUp: process.stdout.isTTY === true }),
        },
      )
      process.exit(0)
    })
}
