/** Problems as lines that an editor or a terminal can follow. */
import { printPath } from '../../domain/spec/index.ts'
import type { FileProblem } from './read.ts'

/** `holdfast.yaml:12:5  models[0].live: no version is named "x"`, and below it what was probably meant. */
export function formatProblem({ file, line, column, path, message, suggestion }: FileProblem): string {
  const where = path.length === 0 ? '' : `${printPath(path)}: `
  const said = printable(`${file}:${line}:${column}  ${where}${message}`)
  return suggestion === undefined ? said : `${said}\n    did you mean "${printable(suggestion)}"?`
}

/** Names in a file may hold anything; a terminal's control sequences stay out of the output. */
const printable = (text: string): string => text.replace(/[\p{Cc}\p{Cf}]/gu, '\uFFFD')
