/** The command line: its commands, each loaded when it is asked for. docs/reference/cli.md is made from all. */
import { Command, CommanderError } from 'commander'
import { CliError } from './client.ts'
import { neededFor, type OnDemand } from './on-demand.ts'

export type CommandLine = { argv: string[]; env: NodeJS.ProcessEnv; entry: string }

type World = Omit<CommandLine, 'argv'>
/** `words`: what stands behind the command, when it is the only one. */
type Asked = World & { words: readonly string[] }

const wrongUsage = 2

const commands: OnDemand<[Asked]> = [
  [['up'], async (program, world) => (await import('./up.ts')).registerUp(program, world)],
  [['check'], async program => (await import('./check.ts')).registerCheck(program)],
  [['apply', 'diff'], async program => (await import('./apply.ts')).registerApply(program)],
  [['restart', 'upgrade'], async program => (await import('./restart.ts')).registerRestart(program)],
  [['status'], async program => (await import('./status.ts')).registerStatus(program)],
  [['release'], async program => (await import('./release.ts')).registerRelease(program)],
  [['flag'], async program => (await import('./flag.ts')).registerFlag(program)],
  [['quality'], async program => (await import('./quality.ts')).registerQuality(program)],
  [['gateway'], async (program, world) => (await import('./gateway.ts')).registerGateway(program, world)],
  [['key'], async program => (await import('./key.ts')).registerKey(program)],
  [['team'], async program => (await import('./team.ts')).registerTeam(program)],
  [['chat'], async program => (await import('./chat.ts')).registerChat(program)],
  [['eval'], async program => (await import('./eval.ts')).registerEval(program)],
  [['logs'], async program => (await import('./logs.ts')).registerLogs(program)],
  [['audit'], async program => (await import('./audit.ts')).registerAudit(program)],
  [['connect'], async program => (await import('./connect.ts')).registerConnect(program)],
  [['completion'], async program => (await import('./completion.ts')).registerCompletion(program)],
  [['import'], async program => (await import('./import.ts')).registerImport(program)],
  [['plan', 'profile'], async (program, world) => (await import('./plan.ts')).registerPlanning(program, world)],
  [['model'], async (program, asked) => (await import('./model.ts')).registerModel(program, asked)],
  [['version'], async program => (await import('./version.ts')).registerVersion(program)],
]

/** As much of the program as the command in `words` needs; without one all of it, for the help and the reference page. */
export async function defineProgram(world: World, words: readonly string[] = []): Promise<Command> {
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
  // What completes commands knows all of them.
  const needed = words[0] === 'completion' ? commands : neededFor(commands, words[0])
  const asked = { ...world, words: needed.length === 1 ? words.slice(1) : [] }
  for (const [, register] of needed) await register(program, asked)
  return program
}

/** Resolves with the exit code; everything that can go wrong has been told by then. */
export async function runCommandLine({ argv, env, entry }: CommandLine): Promise<number> {
  const program = await defineProgram({ env, entry }, argv.slice(2))
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
