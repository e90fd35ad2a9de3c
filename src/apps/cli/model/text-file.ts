/** The text that a comparison is measured on. */
import { readFile, stat } from 'node:fs/promises'
import { CliError } from '../client.ts'

/** Thousands of windows; more text makes nothing surer that matters. */
const mostBytes = 64 * 1024 * 1024

/** Throws CliError. */
export async function readText(path: string): Promise<string> {
  try {
    const is = await stat(path)
    if (!is.isFile()) throw new CliError(`${path} is no plain file.`, 2)
    if (is.size > mostBytes)
      throw new CliError(`${path} has ${is.size} bytes; at most ${mostBytes} are measured: take a part of it.`, 2)
    return new TextDecoder('utf-8', { fatal: true }).decode(await readFile(path))
  } catch (error) {
    if (error instanceof CliError) throw error
    const why = error instanceof TypeError ? 'it is no UTF-8 text' : codeOf(error)
    throw new CliError(`${path} can’t be read (${why}).`, 2, { cause: error })
  }
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : String(error)
