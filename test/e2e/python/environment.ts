/** A Python with the official clients in it. */
import { join } from 'node:path'
import { pythonWith } from '../../support/python-environment.ts'

/** The interpreter's path; `null` where there can be none and tests may be skipped. Under CI it throws instead. */
export const pythonWithClient = (): string | null =>
  pythonWith(join(import.meta.dirname, 'requirements.txt'), 'Python clients')
