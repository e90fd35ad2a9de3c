/** YAML that is not a spec: its values, and the way back from values to text. */
import { stringify } from 'yaml'
import { readText } from './bounded.ts'
import { readYaml } from './yaml.ts'

export type ValuesReading = { ok: true; value: unknown } | { ok: false; problems: string[] }

const largest = 4 * 1024 ** 2

/** The values of one YAML document, under the same bounds as a spec's. Never throws: problems come as `file:line:column  …`. */
export async function readYamlFile(path: string): Promise<ValuesReading> {
  const read = await readText(path, largest)
  if (!read.ok) return { ok: false, problems: [`${path}:${read.line}:1  the file ${read.message}`] }
  const yaml = readYaml(read.text)
  if (yaml.ok) return { ok: true, value: yaml.value }
  return {
    ok: false,
    problems: yaml.problems.map(({ line, column, message }) => `${path}:${line}:${column}  ${message}`),
  }
}

/** A YAML document of these values, below a comment. */
export function printYaml(value: object, comment: readonly string[]): string {
  const head = comment.map(line => `# ${line}\n`).join('')
  return head + stringify(value, { lineWidth: 120, aliasDuplicateObjects: false })
}
