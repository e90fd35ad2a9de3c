/** A Python with packages in it, made once and kept in `.tools/` under what it was made of. */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { repository } from './service.ts'

const installMs = 240_000

/** The interpreter's path; `null` where there can be none and tests (`what`) may be skipped. Under CI it throws instead. */
export function pythonWith(requirements: string, what: string): string | null {
  const folder = folderOf(requirements)
  const problem = missingTool() ?? makeEnvironment(folder, requirements)
  if (problem === null) return interpreterIn(folder)
  if (process.env['CI'] === 'true') throw new Error(problem)
  console.log(`${what} are skipped: ${problem}`)
  return null
}

function folderOf(requirements: string): string {
  const { stdout } = spawnSync('python3', ['--version'], { encoding: 'utf8' })
  const digest = createHash('sha256').update(stdout).update(readFileSync(requirements)).digest('hex')
  return join(repository, '.tools', `python-${digest.slice(0, 12)}`)
}

const interpreterIn = (folder: string): string => join(folder, 'bin/python')

function missingTool(): string | null {
  const missing = process.env['HOLDFAST_MISSING_TOOLS']?.split(',') ?? []
  if (missing.includes('python3-venv')) return 'python3-venv is missing'
  const { status } = spawnSync('python3', ['-c', 'import ensurepip, venv'])
  return status === 0 ? null : 'python3 with venv is missing (bin/node24 scripts/tools.ts)'
}

/** Under its name it is whole: two tests may make it at once, and either may be stopped. */
function makeEnvironment(folder: string, requirements: string): string | null {
  if (existsSync(folder)) return null
  const making = `${folder}.${process.pid}`
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-compile']
  try {
    const problem =
      run('python3', ['-m', 'venv', making]) ?? run(interpreterIn(making), [...pip, '--requirement', requirements])
    if (problem === null && !existsSync(folder)) renameSync(making, folder)
    return problem
  } finally {
    rmSync(making, { recursive: true, force: true })
  }
}

function run(command: string, args: readonly string[]): string | null {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', timeout: installMs })
  return status === 0 ? null : `${command} ${args.join(' ')} failed:\n${stdout}${stderr}`
}
