/** The spec's reference page and JSON Schema, from the schema itself. */
import { quantisations } from '../../src/domain/catalog/index.ts'
import { actedOn, specJsonSchema } from '../../src/domain/spec/index.ts'
import type { SchemaNode } from '../../src/domain/spec/index.ts'

export function specReference(): { 'docs/reference/spec.md': string; 'docs/reference/spec.schema.json': string } {
  const schema = specJsonSchema()
  const titled = {
    ...schema,
    title: 'holdfast.yaml',
    description: 'What Holdfast is to serve. Every section is optional.',
  }
  return {
    'docs/reference/spec.md': page(schema),
    'docs/reference/spec.schema.json': `${JSON.stringify(titled, null, 2)}\n`,
  }
}

function page(schema: SchemaNode): string {
  const sections = Object.entries(schema.properties ?? {})
  const plain = sections.filter(([, node]) => below(node) === null)
  const rest = sections.filter(([, node]) => below(node) !== null)
  return [
    '# The spec: `holdfast.yaml`',
    '',
    'Generated from `src/domain/spec` by `npm run docs`: edit it there.',
    'Editors complete and check the file with `# yaml-language-server: $schema=…/spec.schema.json` in its first line.',
    '',
    'Every section is optional, and an empty file is a working service. Unknown keys are errors. `holdfast check` tells every',
    'problem at once, with its line, and lists what is accepted and not acted on yet (here: «acted on»).',
    '',
    '## Units',
    '',
    '| kind | written | meaning |',
    '|---|---|---|',
    '| size | `20MiB`, `96GiB`, `16GB` | `B kB MB GB TB KiB MiB GiB TiB` |',
    '| size per second | `307GB/s` | a size and `/s` |',
    '| duration | `500ms`, `30s`, `5m`, `24h`, `14d` | one number, one unit |',
    '| share | `0.05`, `5%` | a part of a whole, from 0 to 1 |',
    '| margin | `2%`, `0.5pp` | a difference between two shares; `pp` is a percentage point |',
    '| power | `600W`, `1.6kW` | |',
    '| secret reference | `${env:NAME}`, `${file:/path}`, `${vault:path#key}`, `${sops:file#key}` | where a secret is found; secrets themselves are errors |',
    '',
    '## Version names',
    '',
    '`<channel>-v<version>-<base>-<quantisation>-p<id>`, such as `production-v2.1-qwen3-coder-30b-a3b-awq-p42`. The base is lower-case words',
    'joined by `-`, without dots. A pre-release (`v2.1-rc.1-…`) is letters and dot-numbers. Quantisations:',
    `${quantisations.map(token => `\`${token}\``).join(' ')}.`,
    '',
    '## Top level',
    '',
    ...table(plain.map(([key, node]) => row([key], node))),
    ...rest.flatMap(([key, node]) => section(key, node)),
    '',
  ].join('\n')
}

function section(key: string, node: SchemaNode): string[] {
  const rows = rowsBelow([key], node, '')
  return ['', `## ${key}`, '', `${node.description ?? ''} ${shapeOf(node)}`.trim(), '', ...table(rows)]
}

type Row = { key: string; kind: string; fallback: string; meaning: string; acted: string }

/** Every key below a section, in the schema's order; lists as `[]`, names of entries as `<name>`. */
function rowsBelow(path: readonly string[], node: SchemaNode, shown: string): Row[] {
  const { properties = {}, required = [], prefix } = below(node) ?? { prefix: '' }
  return Object.entries(properties).flatMap(([key, child]) => {
    const at = [...path, key]
    const name = `${shown}${prefix}${key}`
    const own = { ...row(at, child, required.includes(key)), key: name }
    return [own, ...(below(child) === null ? [] : rowsBelow(at, child, name))]
  })
}

type Below = { properties?: Record<string, SchemaNode>; required?: string[]; prefix: string }

/** The map of known keys that a node leads to, through a list or a map of names; `null`: there is none. */
function below(node: SchemaNode, prefix = '.'): Below | null {
  if (node.properties !== undefined) return { properties: node.properties, required: node.required ?? [], prefix }
  if (node.items !== undefined) return below(node.items, `${prefix === '.' ? '' : prefix}[].`)
  if (typeof node.additionalProperties === 'object' && node.additionalProperties.properties !== undefined) {
    return below(node.additionalProperties, '.<name>.')
  }
  return null
}

const shapeOf = (node: SchemaNode): string => {
  if (node.items !== undefined) return 'A list.'
  return typeof node.additionalProperties === 'object' ? 'A map of names.' : ''
}

function row(path: readonly string[], node: SchemaNode, required = false): Row {
  return {
    key: path.at(-1) ?? '',
    kind: kindOf(node),
    fallback: required ? 'required' : printDefault(node.default),
    meaning: node.description ?? node.items?.description ?? '',
    acted: { yes: 'yes', partly: 'partly', no: 'not yet' }[actedOn(path)],
  }
}

function kindOf(node: SchemaNode): string {
  if (node.enum !== undefined) return node.enum.map(value => `\`${String(value)}\``).join(', ')
  if (node.const !== undefined) return `\`${String(node.const)}\``
  if (node.title !== undefined) return node.title
  if (node.items !== undefined) return node.items.properties === undefined ? `list of ${kindOf(node.items)}` : 'list'
  return 'map'
}

/** Defaults of whole maps are told by their keys. */
function printDefault(value: unknown): string {
  if (value === undefined) return '–'
  if (Array.isArray(value)) return value.length === 0 ? 'none' : value.map(item => `\`${String(item)}\``).join(', ')
  if (typeof value === 'object') return ''
  return `\`${String(value)}\``
}

function table(rows: readonly Row[]): string[] {
  const cell = (text: string): string => text.replaceAll('|', '\\|')
  return [
    '| key | kind | default | meaning | acted on |',
    '|---|---|---|---|---|',
    ...rows.map(
      ({ key, kind, fallback, meaning, acted }) =>
        `| \`${key.replace(/^\./, '')}\` | ${cell(kind)} | ${cell(fallback)} | ${cell(meaning)} | ${acted} |`,
    ),
  ]
}
