/** The command line: every command, its options and examples. docs/reference/cli.md is made from it. */
import { Command, CommanderError } from 'commander'
import { productVersion } from '../version.ts'
import { registerApply } from './apply.ts'
import { registerAudit } from './audit.ts'
import { registerChat } from './chat.ts'
import { checkSpec } from './check.ts'
import { CliError } from './client.ts'
import { registerCompletion } from './completion.ts'
import { registerConnect } from './connect.ts'
import { registerEval } from './eval.ts'
import { registerFlag } from './flag.ts'
import { registerGateway } from './gateway.ts'
import { registerImport } from './import.ts'
import { registerKey } from './key.ts'
import { registerLogs } from './logs.ts'
import { registerModel } from './model.ts'
import { examples } from './output.ts'
import { registerQuality } from './quality.ts'
import { registerRelease } from './release.ts'
import { registerPlan, registerProfile } from './plan.ts'
import { registerRestart } from './restart.ts'
import { registerStatus } from './status.ts'
import { stopOnSignals } from './stop-on-signals.ts'
import { registerTeam } from './team.ts'
import { wholeNumber } from './whole-number.ts'

export type CommandLine = { argv: string[]; env: NodeJS.ProcessEnv; entry: string }

const wrongUsage = 2

/** The whole program, for running and for the reference page. */
export function defineProgram({ env, entry }: Omit<CommandLine, 'argv'>): Command {
  const program = new Command('holdfast')
    .description('Turns your own GPU machines into a private LLM service that stays up.')
    .helpOption('-h, --help', 'Show this help.')
    .helpCommand('help [command]', 'Show the help of a command.')
    // What stands behind a command is that command's: `gateway --json` and `gateway token --json` are two options.
    .enablePositionalOptions()
    .showHelpAfterError('(add --help for what this command takes)')
    .addHelpText(
      'after',
      `
Environment:
  HOLDFAST_HOME       The state folder (default: ~/.local/state/holdfast).
  HOLDFAST_ADMIN_KEY  Use this admin key, any string of 32 characters or more.
  HOLDFAST_HOST, HOLDFAST_PORT
                      Where 'up' listens, unless a flag says so.
  HOLDFAST_LOG_LEVEL  What processes tell on standard error: warn (default), info, debug …
  HF_TOKEN, HF_ENDPOINT, HF_HUB_OFFLINE
                      For weights on Hugging Face: the token for gated ones, another hub, 1 to fetch nothing.
  HOLDFAST_URL        The service to talk to (default: the one of this state folder).
  HOLDFAST_KEY        The key to use with it (default: the admin key).

Exit codes: 0 done, 1 it said no, 2 wrong usage.`,
    )
  registerUp(program, { env })
  registerCheck(program)
  registerApply(program)
  registerRestart(program)
  registerStatus(program)
  registerRelease(program)
  registerFlag(program)
  registerQuality(program)
  registerGateway(program, { env, entry })
  registerKey(program)
  registerTeam(program)
  registerChat(program)
  registerEval(program)
  registerLogs(program)
  registerAudit(program)
  registerConnect(program)
  registerCompletion(program)
  registerImport(program)
  registerPlan(program, { env })
  registerProfile(program, { env })
  registerModel(program)
  program
    .command('version')
    .description('Print the version.')
    .option('--json', 'As JSON.')
    .addHelpText('after', examples('version'))
    .action((options: { json?: boolean }) => {
      process.stdout.write(
        options.json === true
          ? `${JSON.stringify({ version: productVersion(), node: process.version })}\n`
          : `holdfast ${productVersion()} (Node ${process.version})\n`,
      )
    })
  return program
}

/** Resolves with the exit code; everything that can go wrong has been told by then. */
export async function runCommandLine({ argv, env, entry }: CommandLine): Promise<number> {
  const program = defineProgram({ env, entry })
  for (const command of withSubcommands(program)) command.exitOverride()
  process.stdout.on('error', ignoreClosedPipe)
  try {
    await program.parseAsync(argv)
    return Number(process.exitCode ?? 0)
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : wrongUsage
    if (error instanceof CliError) {
      process.stderr.write(`${error.message}\n`)
      return error.exitCode
    }
    throw error
  }
}

/** Whoever reads the output has seen enough (`| head`): that is no mistake of anybody's. */
function ignoreClosedPipe(error: Error): void {
  if (!('code' in error) || error.code !== 'EPIPE') throw error
}

function withSubcommands(command: Command): Command[] {
  return [command, ...command.commands.flatMap(withSubcommands)]
}

function registerCheck(program: Command): void {
  program
    .command('check')
    .description('Validate a spec: every problem at once, with file, line, column and what to do.')
    .argument('[spec]', 'The spec.', 'holdfast.yaml')
    .option('--json', 'As JSON.')
    .addHelpText('after', examples('check', 'check examples/two-replicas/holdfast.yaml'))
    .action(async (spec: string, options: { json?: boolean }) => {
      const { exitCode, output } = await checkSpec(spec, { json: options.json === true })
      process.stdout.write(output)
      process.exitCode = exitCode
    })
}

type UpFlags = {
  host?: string
  port?: number
  gguf?: string
  model?: string
  engine?: string
  json?: boolean
  verbose?: boolean
}

function registerUp(program: Command, { env }: Pick<CommandLine, 'env'>): void {
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
    .action(async (spec: string | undefined, flags: UpFlags) => {
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
