/** A Python with the official client in it, made once and kept in `.tools/` under what it was made of. */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { repository } from '../../support/service.ts'

const requirements = join(import.meta.dirname, 'requirements.txt')
const installMs = 240_000

/** The interpreter's path; `null` where there can be none and tests may be skipped. Under CI it throws instead. */
export function pythonWithClient(): string | null {
  const problem = missingTool() ?? makeEnvironment()
  if (problem === null) return interpreter()
  if (process.env['CI'] === 'true') throw new Error(problem)
  console.log(`Python clients are skipped: ${problem}`)
  return null
}

function folder(): string {
  const { stdout } = spawnSync('python3', ['--version'], { encoding: 'utf8' })
  const digest = createHash('sha256').update(stdout).update(readFileSync(requirements)).digest('hex')
  return join(repository, '.tools', `python-${digest.slice(0, 12)}`)
}

const interpreter = (): string => join(folder(), 'bin/python')

function missingTool(): string | null {
  const missing = process.env['HOLDFAST_MISSING_TOOLS']?.split(',') ?? []
  if (missing.includes('python3-venv')) return 'python3-venv is missing'
  const { status } = spawnSync('python3', ['-c', 'import ensurepip, venv'])
  return status === 0 ? null : 'python3 with venv is missing (bin/node24 scripts/tools.ts)'
}

function makeEnvironment(): string | null {
  const done = join(folder(), 'complete')
  if (existsSync(done)) return null
  // Half made by a run that was stopped.
  rmSync(folder(), { recursive: true, force: true })
  const problem =
    run('python3', ['-m', 'venv', folder()]) ??
    run(interpreter(), [
      '-m',
      'pip',
      'install',
      '--quiet',
      '--disable-pip-version-check',
      '--requirement',
      requirements,
    ])
  if (problem === null) writeFileSync(done, '')
  return problem
}

function run(command: string, args: readonly string[]): string | null {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', timeout: installMs })
  return status === 0 ? null : `${command} ${args.join(' ')} failed:\n${stdout}${stderr}`
}
