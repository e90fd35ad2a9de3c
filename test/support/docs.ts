/** Documents as a reader uses them: their blocks of commands, and where their links lead. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** The README's lines for a new user and a new developer: run by clone.test.ts and by CI. */
export const firstLines = { start: 'npm ci && npm start', test: 'npm ci && npm test' } as const

export type Block = {
  /** Of the first command, counted from 1. */
  line: number
  commands: string
  /** A service that goes on while the rest of the document runs. */
  background: boolean
  /** The exit code that the reader is told to expect. */
  exitCode: number
}

export type Link = { line: number; target: string }

/** What is fenced as `sh`, in order; after it may stand `background`, or `expect=1` for an exit code. Throws on another word. */
export function parseBlocks(markdown: string): Block[] {
  return fencesOf(markdown)
    .filter(({ info }) => info[0] === 'sh')
    .map(({ line, info: [, ...words], text }) => {
      const exitCodes = words.map(word => /^expect=(\d+)$/.exec(word)?.[1])
      const unknown = words.find((word, i) => word !== 'background' && exitCodes[i] === undefined)
      if (unknown !== undefined) throw new Error(`line ${line}: a block of sh can't be '${unknown}'`)
      return {
        line,
        commands: text,
        background: words.includes('background'),
        exitCode: Number(exitCodes.find(code => code !== undefined) ?? 0),
      }
    })
}

/** Links to files of the repository and to headings; code has none. */
export function parseLinks(markdown: string): Link[] {
  return withoutFences(markdown).flatMap((text, i) =>
    [...text.replaceAll(/`[^`]*`/g, '').matchAll(/\]\(<?([^)>\s]+)>?(?:\s+"[^"]*")?\)/g)]
      .map(([, target = '']) => ({ line: i + 1, target }))
      .filter(({ target }) => !/^[a-z][a-z0-9+.-]*:/i.test(target)),
  )
}

/** What `#…` may name in a document, as code hosts make it from headings. */
export function anchorsOf(markdown: string): string[] {
  const seen = new Map<string, number>()
  return withoutFences(markdown)
    .filter(text => /^#{1,6} /.test(text))
    .map(text => {
      const words = text
        .replace(/^#+ /, '')
        .replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1')
        .trim()
        .toLowerCase()
      const slug = words.replaceAll(/[^\p{L}\p{N}\s_-]/gu, '').replaceAll(/\s/g, '-')
      const times = seen.get(slug) ?? 0
      seen.set(slug, times + 1)
      return times === 0 ? slug : `${slug}-${times}`
    })
}

/** Every Markdown file that Git has or would take. */
export function documentsOf(repository: string): { path: string; text: string }[] {
  const { stdout, status, stderr } = spawnSync(
    'git',
    ['ls-files', '-z', '--cached', '--others', '--exclude-standard', '*.md'],
    { cwd: repository, encoding: 'utf8' },
  )
  if (status !== 0) throw new Error(`git ls-files failed: ${stderr}`)
  return [...new Set(stdout.split('\0').filter(path => path !== ''))]
    .toSorted()
    .map(path => ({ path, text: readFileSync(join(repository, path), 'utf8') }))
}

type Fence = { line: number; last: number; info: string[]; text: string }

function fencesOf(markdown: string): Fence[] {
  const fences: Fence[] = []
  const lines = markdown.split('\n')
  for (let i = 0; i < lines.length; i++) {
    const [, mark, info = ''] = /^\s{0,3}(`{3,})(.*)$/.exec(lines[i] ?? '') ?? []
    if (mark === undefined) continue
    const length = lines.slice(i + 1).findIndex(text => text.trim() === mark)
    if (length === -1) throw new Error(`line ${i + 1}: this block has no end`)
    const text = lines.slice(i + 1, i + 1 + length).join('\n')
    fences.push({ line: i + 2, last: i + 2 + length, info: info.trim().split(/\s+/), text })
    i += length + 1
  }
  return fences
}

/** The lines, with those of fenced blocks empty. */
function withoutFences(markdown: string): string[] {
  const fences = fencesOf(markdown)
  return markdown
    .split('\n')
    .map((text, i) => (fences.some(({ line, last }) => i + 2 >= line && i + 1 <= last) ? '' : text))
}
