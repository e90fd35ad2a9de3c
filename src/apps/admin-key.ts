/** The admin key: from `HOLDFAST_ADMIN_KEY`, else made once and kept in a file only its owner can read. */
import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { keyRandomBytes, makeKey } from '../domain/access/index.ts'

export type AdminKey = { key: string; source: 'environment' | 'file' | 'made' }

const fewestCharacters = 32

/** Throws an Error that says what to do when the variable's key is too short. */
export function readAdminKey(file: string, env: NodeJS.ProcessEnv): AdminKey {
  const given = env['HOLDFAST_ADMIN_KEY']
  if (given !== undefined && given !== '') {
    if (given.length < fewestCharacters)
      throw new Error(
        `HOLDFAST_ADMIN_KEY has ${given.length} characters; it needs ${fewestCharacters} or more. Leave it unset and a key is made.`,
      )
    return { key: given, source: 'environment' }
  }
  const made = makeKey(randomBytes(keyRandomBytes))
  try {
    // `wx`: of two starts at once, one makes it and the other reads it.
    writeFileSync(file, `${made}\n`, { mode: 0o600, flag: 'wx' })
    return { key: made, source: 'made' }
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
    return { key: readFileSync(file, 'utf8').trim(), source: 'file' }
  }
}
