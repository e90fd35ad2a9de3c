/** Secrets: the values behind references. A reference may be told to anybody; a value goes only where it is used. */
import { readFileSync } from 'node:fs'

/** Resolves `${env:NAME}` and `${file:/path}`. Throws an Error that names the reference and what to do. */
export function resolveSecret(reference: string, env: Record<string, string | undefined>): string {
  const match = /^\$\{(env|file|vault|sops):(.+)\}$/.exec(reference)
  const [, kind, name] = match ?? []
  if (kind === 'env' && name !== undefined) {
    const value = env[name]
    if (value === undefined || value === '')
      throw new Error(`${reference}: the environment variable ${name} is not set`)
    return value
  }
  if (kind === 'file' && name !== undefined) {
    const value = readSecretFile(reference, name)
    if (value === '') throw new Error(`${reference}: the file is empty`)
    return value
  }
  if (kind !== undefined)
    throw new Error(`${reference}: secrets from ${kind} are not read yet; use \${env:NAME} or \${file:/path}`)
  throw new Error('this is not a reference to a secret: write ${env:NAME} or ${file:/path}')
}

function readSecretFile(reference: string, path: string): string {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch (error) {
    throw new Error(`${reference}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
}
