/** The benches work: one short round of every system, no failed request, and the tables with their ratios. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { repository } from '../support/service.ts'

const missing = (process.env['HOLDFAST_MISSING_TOOLS'] ?? '').split(',').includes('nginx')

test.skipIf(missing && process.env['CI'] !== 'true')(
  'npm run bench prints nginx, bare sockets and holdfast with ratios',
  async () => {
    const { stdout } = await promisify(execFile)(
      join(repository, 'bin/node24'),
      ['bench/gateway/run.ts', '--quick', '--rounds', '1', '--ms', '500', '--systems', 'nginx,sockets,holdfast'],
      { cwd: repository, maxBuffer: 16 * 1024 * 1024 },
    )
    expect(stdout).toMatch(/^\| nginx \|.*1\.00/m)
    expect(stdout).toMatch(/^\| sockets \|.*\d\.\d\d/m)
    expect(stdout).toMatch(/^\| holdfast \|.*\d\.\d\d/m)
  },
  120_000,
)

test.skipIf(missing && process.env['CI'] !== 'true')(
  'npm run bench:peers measures whole answers, streams, memory and silence, and says why a peer is not there',
  async () => {
    const { stdout } = await promisify(execFile)(
      join(repository, 'bin/node24'),
      ['bench/peers/run.ts', '--quick', '--rounds', '1', '--ms', '500', '--systems', 'nginx,holdfast,bifrost'],
      { cwd: repository, maxBuffer: 16 * 1024 * 1024 },
    )
    // Every table has a row with a number and no failure for each.
    expect(stdout.match(/^\| nginx \| \d.* \| 1 \| 0 \|$/gm)).toHaveLength(4)
    expect(stdout.match(/^\| holdfast \| \d.* \| 1 \| 0 \|$/gm)).toHaveLength(4)
    expect(stdout).toMatch(/^\| bifrost \| not measured: not reachable: /m)
  },
  240_000,
)
