/** The bench works: one short round of every system, no failed request, and the table with its ratios. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { repository } from '../support/service.ts'

const missing = (process.env['HOLDFAST_MISSING_TOOLS'] ?? '').split(',').includes('nginx')

test.skipIf(missing && process.env['CI'] !== 'true')(
  'npm run bench prints nginx and holdfast with ratios',
  async () => {
    const { stdout } = await promisify(execFile)(
      join(repository, 'bin/node24'),
      ['bench/gateway/run.ts', '--quick', '--rounds', '1', '--systems', 'nginx,holdfast'],
      { cwd: repository, maxBuffer: 16 * 1024 * 1024 },
    )
    expect(stdout).toMatch(/^\| nginx \|.*1\.00/m)
    expect(stdout).toMatch(/^\| holdfast \|.*\d\.\d\d/m)
  },
  120_000,
)
