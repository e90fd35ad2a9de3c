/** `holdfast status`: what runs, where, and how it is. */
import type { Command } from 'commander'
import { openClient } from './client.ts'
import { printTable } from './output.ts'

/** As `/api/v1/status` answers; only what is printed here. */
type Status = {
  name: string
  url: string | null
  spec: { path: string | null; state: string; problems: string[] }
  processes: { role: string; pid: number; startedAt: string; restarts: number }[]
  models: { name: string; version: string; replicas: { id: string; address: string }[] }[]
}

export function registerStatus(program: Command, env: NodeJS.ProcessEnv): void {
  program.command('status')
    .description('Show the processes with role and pid, the spec, and the models.')
    .option('--json', 'As JSON.')
    .addHelpText('after', '\nExamples:\n  $ holdfast status\n  $ holdfast status --json')
    .action(async (options: { json?: boolean }) => {
      const status = (await openClient({ env }).request('GET', '/api/v1/status')) as Status
      if (options.json === true) {
        process.stdout.write(`${JSON.stringify(status)}\n`)
        return
      }
      process.stdout.write(`${status.name} at ${status.url ?? 'an unknown address'}, spec ${status.spec.path ?? '(none)'}: ${status.spec.state}\n`)
      for (const problem of status.spec.problems) process.stdout.write(`  ${problem}\n`)
      process.stdout.write('\n')
      printTable(['PROCESS', 'PID', 'SINCE', 'RESTARTS'], status.processes.map(({ role, pid, startedAt, restarts }) => [role, String(pid), startedAt, String(restarts)]))
      process.stdout.write('\n')
      printTable(['MODEL', 'VERSION', 'REPLICAS'], status.models.map(({ name, version, replicas }) => [name, version, replicas.map(({ id }) => id).join(', ')]))
    })
}
