/** Every command that the README and the guides show is run, in their order; every link leads somewhere. */
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openTerminal, portsIn, relocate, type Terminal } from '../support/docs-shell.ts'
import { anchorsOf, documentsOf, firstLines, parseBlocks, parseLinks, type Block } from '../support/docs.ts'
import { repository, startService, type Service } from '../support/service.ts'

const documents = documentsOf(repository)
// In the order of reading: what one has made, the next one finds.
const order = ['README.md', 'docs/tutorial.md', 'docs/runbook.md']
const place = (path: string): number => (order.indexOf(path) + order.length + 1) % (order.length + 1)
const guides = documents
  .filter(({ path }) => path === 'README.md' || /^docs\/(?!reference\/|design\/)/.test(path))
  .toSorted((a, b) => place(a.path) - place(b.path))

const readme = readFileSync(join(repository, 'README.md'), 'utf8')
const folder = mkdtempSync(join(tmpdir(), 'holdfast-docs-'))
// Below 30,000, where a start looks for SGLang.
let nextPort = 20_000 + (process.pid % 9_000)
let service: Service

beforeAll(async () => {
  // Without the suite's admin key: the reader's is in the state folder.
  service = await startService({ env: { HOLDFAST_ADMIN_KEY: '' } })
})
afterAll(async () => {
  await service?.stop()
  rmSync(folder, { recursive: true, force: true })
})

describe.each(guides)('$path', ({ path, text }) => {
  const blocks = commandsOf(text)
  const scratch = join(folder, path.replaceAll('/', '-'))
  let terminal: Terminal
  let ports: Map<string, number>

  beforeAll(async () => {
    mkdirSync(scratch)
    terminal = openTerminal({ cwd: repository, env: readersEnvironment(), folder: scratch })
    ports = await freePorts(portsIn(blocks.map(({ commands }) => commands)))
  })
  afterAll(async () => {
    await terminal?.close()
  })

  test.for(blocks.map((block): [string, Block] => [titleOf(block), block]))('%s', async ([, block]) => {
    const commands = relocate(block.commands, { url: service.url, ports, cwd: repository, folder: scratch })
    await terminal.run({ ...block, commands })
  })
})

test('the README has commands to run', () => {
  expect(commandsOf(readme).length).toBeGreaterThan(0)
})

test('the README’s first line is the one that a clone runs, and its test line is what CI runs', () => {
  const lines = parseBlocks(readme).map(({ commands }) => commands)
  expect(lines).toContain(firstLines.start)
  expect(lines).toContain(firstLines.test)
  expect(readFileSync(join(repository, '.ci/run'), 'utf8').split('\n')).toContain(firstLines.test)
})

test.each(documents)('links lead somewhere: $path', ({ path, text }) => {
  const dead = parseLinks(text).filter(({ target }) => {
    const [file = '', anchor] = target.split('#')
    const to = file === '' ? path : join(dirname(path), decodeURIComponent(file))
    if (!existsSync(join(repository, to))) return true
    if (anchor === undefined || statSync(join(repository, to)).isDirectory() || !to.endsWith('.md')) return false
    return !anchorsOf(readFileSync(join(repository, to), 'utf8')).includes(anchor)
  })
  expect(dead).toEqual([])
})

describe('the reader', () => {
  test('notices a command that fails, wherever it stands, and one that does not fail as told', async () => {
    const terminal = openTerminal({ cwd: folder, env: process.env, folder })
    const block = { line: 1, background: false, exitCode: 0 }
    await terminal.run({ ...block, line: 3, commands: 'sh -c "exit 1"', exitCode: 1 })
    await terminal.run({ ...block, line: 4, commands: 'export KEPT=yes; ALSO=yes' })
    expect(await terminal.run({ ...block, line: 5, commands: 'echo "$KEPT $ALSO"' })).toContain('yes yes')
    const dies = { ...block, line: 6, background: true, commands: 'echo "$KEPT"; exit 3' }
    await expect(terminal.run(dies)).rejects.toThrow('yes')
    await expect(terminal.run({ ...block, line: 7, commands: 'false\ntrue' })).rejects.toThrow('instead of 0')
    await expect(terminal.run({ ...block, line: 8, commands: 'true' })).rejects.toThrow('line 7 failed')
    await terminal.close()
    const other = openTerminal({ cwd: folder, env: process.env, folder })
    await expect(other.run({ ...block, line: 9, commands: 'true', exitCode: 1 })).rejects.toThrow('instead of 1')
    await other.close()
  })

  test('tells blocks by their words, and links and headings apart from code', () => {
    const text =
      '# One `two`\n```sh expect=1\nfalse\n```\n```text\n[no](no.md)\n```\n[a](b.md#c) `[no](no.md)`\n# One two\n'
    expect(parseBlocks(text)).toEqual([{ line: 3, commands: 'false', background: false, exitCode: 1 }])
    expect(() => parseBlocks('```sh backgruond\nx\n```\n')).toThrow('backgruond')
    expect(parseLinks(text)).toEqual([{ line: 8, target: 'b.md#c' }])
    expect(anchorsOf(text)).toEqual(['one-two', 'one-two-1'])
  })
})

/** Without the two lines that install and start: clone.test.ts and .ci/run are what runs those. */
function commandsOf(text: string): Block[] {
  return parseBlocks(text).filter(({ commands }) => !Object.values<string>(firstLines).includes(commands))
}

function titleOf({ line, commands, background }: Block): string {
  const [first = '', ...more] = commands.split('\n')
  return `line ${line}${background ? ', beside' : ''}: ${first}${more.length === 0 ? '' : ` … (${more.length} more)`}`
}

function readersEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('HOLDFAST_'))
  return { ...Object.fromEntries(kept), HOLDFAST_HOME: service.home, TMPDIR: scratchForTemporaries() }
}

/** Where `mktemp` of a document goes: it is removed at the end. */
function scratchForTemporaries(): string {
  const path = join(folder, 'tmp')
  mkdirSync(path, { recursive: true })
  return path
}

/** Below those that the system gives away, also to the tests beside this one: they are free until the document uses them. */
async function freePorts(names: readonly string[]): Promise<Map<string, number>> {
  const found = new Map<string, number>()
  for (const name of names) {
    do nextPort++
    while (!(await isFree(nextPort)))
    found.set(name, nextPort)
  }
  return found
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen(port, '127.0.0.1')
  return once(server, 'listening').then(
    async () => {
      await new Promise(resolve => server.close(resolve))
      return true
    },
    () => false,
  )
}
