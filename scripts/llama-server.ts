/**
 * Builds the real llama-server once, for tests that hold our dialect to it: from the llama.cpp source that the
 * node-llama-cpp package carries, so nothing is downloaded. Needs git, cmake and a C++ compiler; takes some minutes.
 * `bin/node24 scripts/llama-server.ts` prints where it is. Tests use it when it is there.
 */
import { spawnSync } from 'node:child_process'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { llamaServerPath } from '../test/support/llama-server.ts'

const bundle = 'node_modules/node-llama-cpp/llama/gitRelease.bundle'
/** No optimisation that costs minutes: it answers a few hundred requests to a model of two million parameters. */
const settings = {
  CMAKE_BUILD_TYPE: 'Release',
  CMAKE_C_FLAGS_RELEASE: '-O1',
  CMAKE_CXX_FLAGS_RELEASE: '-O1',
  BUILD_SHARED_LIBS: 'OFF',
  LLAMA_BUILD_UI: 'OFF',
  LLAMA_USE_PREBUILT_UI: 'OFF',
  LLAMA_BUILD_TESTS: 'OFF',
  LLAMA_BUILD_EXAMPLES: 'OFF',
  LLAMA_OPENSSL: 'OFF',
  LLAMA_CURL: 'OFF',
}

if (!existsSync(llamaServerPath)) build()
console.log(llamaServerPath)

function build(): void {
  for (const tool of ['git', 'cmake', 'c++']) {
    if (spawnSync(tool, ['--version'], { stdio: 'ignore' }).status === 0) continue
    console.error(`llama-server needs ${tool} to be built. On Debian: apt-get install git cmake g++`)
    process.exit(1)
  }
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-llama-server-'))
  try {
    run('git', 'clone', '--quiet', '-c', 'advice.detachedHead=false', bundle, join(folder, 'source'))
    const flags = Object.entries(settings).map(([name, value]) => `-D${name}=${value}`)
    run('cmake', '-S', join(folder, 'source'), '-B', join(folder, 'build'), ...flags)
    run(
      'cmake',
      '--build',
      join(folder, 'build'),
      '--target',
      'llama-server',
      '--parallel',
      String(availableParallelism()),
    )
    mkdirSync(join(llamaServerPath, '..'), { recursive: true })
    // Whole or not at all: tests look for it by its name.
    copyFileSync(join(folder, 'build/bin/llama-server'), `${llamaServerPath}.new`)
    renameSync(`${llamaServerPath}.new`, llamaServerPath)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

function run(command: string, ...args: string[]): void {
  const { status } = spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'] })
  if (status === 0) return
  throw new Error(`${command} ended with ${status}`)
}
