/** Writes the reference pages from what the code knows. `--check`: tells which ones are stale, and fails. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { cliReference } from './docs/cli-reference.ts'
import { conformanceReference } from './docs/conformance-reference.ts'
import { errorsReference } from './docs/errors-reference.ts'
import { httpReference } from './docs/http-reference.ts'
import { metricsReference } from './docs/metrics-reference.ts'
import { specReference } from './docs/spec-reference.ts'

const pages: Record<string, string> = {
  ...specReference(),
  ...errorsReference(),
  ...conformanceReference(),
  ...(await cliReference()),
  ...(await metricsReference()),
  ...(await httpReference()),
}

const stale = Object.entries(pages).filter(([path, text]) => read(path) !== text)
if (process.argv.includes('--check')) {
  for (const [path] of stale) process.stdout.write(`${path} is stale: run npm run docs\n`)
  process.exitCode = stale.length === 0 ? 0 : 1
} else {
  for (const [path, text] of stale) {
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, text)
  }
  process.stdout.write(`${Object.keys(pages).length} pages, ${stale.length} written.\n`)
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}
