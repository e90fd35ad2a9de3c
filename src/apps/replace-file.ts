/** Replaces a small file of the state folder whole: readers see the old text or the new one, never half of it. */
import { renameSync, writeFileSync } from 'node:fs'

export function replaceFile(path: string, text: string): void {
  writeFileSync(`${path}.new`, text, { mode: 0o600 })
  renameSync(`${path}.new`, path)
}
