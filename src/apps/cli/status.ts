/** `holdfast status`: what runs, where, and how it is. */
import type { Command } from 'commander'
import { openClient } from './client.ts'
import { renderGateways, type GatewayLine } from './gateway.ts'
import { examples, processIo, renderTable, type CliIo } from './output.ts'

/** As `/api/v1/status` answers; only what is printed here. */
type Status = {
  name: string
  url: string | null
  spec: { path: string | null; state: string; problems: string[] }
  processes: {
    role: string
    pid: number
    startedAt: string
    restarts: number
    release?: string
    state?: string
  }[]
  fetches: {
    version: string
    source: string
    state: string
    doneBytes: number
    totalBytes: number
    why: string | null
  }[]
  gateways: GatewayLine[]
  models: { name: string; version: string; diverged?: string | null; replicas: { id: string; address: string }[] }[]
  store: { kind: string; name: string; problem: string | null }
}

export function registerStatus(program: Command, io: CliIo = processIo): void {
  program
    .command('status')
    .description('Show the processes with role and pid, all gateways, the spec, and the models.')
    .option('--json', 'As JSON.')
    .addHelpText('after', examples('status', 'status --json'))
    .action(async (options: { json?: boolean }) => {
      const status = (await openClient({ env: io.env }).request('GET', '/api/v1/status')) as Status
      if (options.json === true) {
        io.out(JSON.stringify(status))
        return
      }
      io.out(
        `${status.name} at ${status.url ?? 'an unknown address'}, spec ${status.spec.path ?? '(none)'}: ${status.spec.state}`,
      )
      for (const problem of status.spec.problems) io.out(`  ${problem}`)
      if (status.store.kind !== 'sqlite') io.out(`State in ${status.store.name}: ${status.store.problem ?? 'ok'}`)
      io.out('')
      io.out(
        renderTable(
          ['PROCESS', 'PID', 'SINCE', 'RESTARTS', 'RELEASE'],
          status.processes.map(({ role, pid, startedAt, restarts, release = '-', state = 'running' }) => [
            state === 'running' ? role : `${role} (${state})`,
            String(pid),
            startedAt,
            String(restarts),
            release,
          ]),
        ),
      )
      io.out('')
      io.out(renderGateways(status.gateways))
      const fetches = status.fetches.filter(({ state }) => state !== 'done')
      if (fetches.length > 0) {
        io.out('')
        io.out(
          renderTable(
            ['WEIGHTS', 'FETCHED', 'STATE'],
            fetches.map(({ source, state, doneBytes, totalBytes, why }) => [
              source,
              `${totalBytes === 0 ? 0 : Math.floor((100 * doneBytes) / totalBytes)} %`,
              why === null ? state : `${state}: ${why}`,
            ]),
          ),
        )
      }
      io.out('')
      io.out(
        renderTable(
          ['MODEL', 'VERSION', 'REPLICAS'],
          status.models.map(({ name, version, replicas }) => [name, version, replicas.map(({ id }) => id).join(', ')]),
        ),
      )
      for (const { name, diverged } of status.models)
        if (typeof diverged === 'string') io.out(`\n${name} is diverged: ${diverged}`)
    })
}
