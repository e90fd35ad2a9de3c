import { mkdtemp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { withDefaults } from '../../domain/spec/index.ts'
import { compileSnapshot } from '../../domain/serving/compile.ts'
import { formatProblem, readSpecFile } from './index.ts'
import { readYaml } from './yaml.ts'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-spec-'))
})
afterAll(async () => {
  await rm(folder, { recursive: true })
})

let files = 0
async function write(content: string | Buffer): Promise<string> {
  const path = join(folder, `${++files}.yaml`)
  await writeFile(path, content)
  return path
}

/** Problems as printed, without the folder. */
async function problems(content: string | Buffer): Promise<string[]> {
  const path = await write(content)
  const read = await readSpecFile(path)
  return read.ok ? [] : read.problems.map(problem => formatProblem(problem).replace(path, 'f'))
}

const examples = new URL('../../../examples/', import.meta.url).pathname

test('every example is a good spec that compiles', async () => {
  const specs = (await readdir(examples, { recursive: true })).filter(path => path.endsWith('holdfast.yaml'))
  expect(specs.length).toBeGreaterThanOrEqual(4)
  for (const path of specs) {
    const read = await readSpecFile(join(examples, path))
    expect(read.ok || read.problems.map(formatProblem)).toBe(true)
    if (read.ok) compileSnapshot(withDefaults(read.spec), { socketFor: id => id, digest: text => text })
  }
})

test('the machine with two GPUs uses every section, and its prompt file is in its place', async () => {
  const read = await readSpecFile(join(examples, 'two-gpu-machine/holdfast.yaml'))
  if (!read.ok) throw new Error('not ok')
  const { apiVersion: _, ...sections } = read.spec
  expect(Object.values(sections).every(section => section !== undefined)).toBe(true)
  expect(read.spec.prompts['p42']?.text).toMatch(/^You help a small team[\s\S]*settle it\.$/)
  expect(read.notes).toContain('backup')
  expect(read.notes.some(note => note.startsWith('models[].live'))).toBe(false)
})

test('problems come in the order of the file, at the line and column of their key or item', async () => {
  expect(
    await problems(
      [
        'models:',
        '  - name: chat',
        '    live: dev-v1-a-awq-p1',
        'gateway: { listen: { prot: 1 } }',
        'teams: [dev, { name: x }, { models: [] }]',
        'versions:',
        '  - { name: dev-v1-a-awq-p0, engine: { kind: openai }, replicas: [{ id: a, url: http://h:1 }] }',
      ].join('\n'),
    ),
  ).toEqual([
    'f:3:5  models[0].live: no version is named "dev-v1-a-awq-p1"\n    did you mean "dev-v1-a-awq-p0"?',
    'f:4:22  gateway.listen.prot: unknown key "prot"\n    did you mean "port"?',
    'f:5:9  teams[0]: expected a map, got text',
    'f:5:27  teams[2].name: is missing',
  ])
})

test('broken YAML is told at once, with keys given twice, second documents and unknown aliases and tags', async () => {
  expect(await problems('name: a\nname: b\ngateway: {listen: {port: 1, port: 2}}\n---\nx: 1\n')).toEqual([
    'f:2:1  this key is given twice',
    'f:3:29  this key is given twice',
    'f:4:1  another document starts here: a spec is one document',
  ])
  expect(await problems('name: !!js/function "x"\nhosts: *nope\n')).toEqual([
    'f:1:7  Unresolved tag',
    'f:2:8  nothing before this is named &nope',
  ])
  expect((await problems('hosts: [1\nname: "x\n')).length).toBeGreaterThanOrEqual(2)
})

test('a few lines do not grow to gigabytes, and nothing is followed in circles or without end', async () => {
  const laughs = [
    'a: &a [x,x,x,x,x,x,x,x,x,x]',
    ...'bcdefgh'.split('').map((name, at) => `${name}: &${name} [${Array(10).fill(`*${'abcdefg'[at]}`).join()}]`),
  ].join('\n')
  expect(await problems(laughs)).toEqual([
    'f:1:1  uses an alias, with what it holds, more than 100 times: write the values out',
  ])
  expect(await problems('hosts: &a [1, *a]\n')).toEqual(['f:1:15  the alias *a stands inside what it stands for'])
  expect(await problems('['.repeat(1_000_000))).toEqual(['f:1:65  is nested more than 64 deep'])
  expect(await problems(`${'- '.repeat(100_000)}a`)).toEqual([
    expect.stringMatching(/^f:1:\d+ {2}is nested more than 64 deep$/),
  ])
})

test('an alias may be used for what is said twice', async () => {
  expect(await problems('teams:\n  - { name: a, limits: &l { parallel: 1 } }\n  - { name: b, limits: *l }\n')).toEqual(
    [],
  )
})

test('what is no spec at all is a problem and not a throw', async () => {
  expect(await problems('#'.repeat(4 * 1024 ** 2 + 1))).toEqual(['f:1:1  the spec is larger than the 4 MiB allowed'])
  expect(await problems(Buffer.from('name: a\n# \xff\n', 'latin1'))).toEqual([
    'f:2:1  the spec is not UTF-8: save it in that encoding',
  ])
  expect(await problems('\u{FEFF}name: a\n')).toEqual([])
  for (const [path, why] of [
    ['missing.yaml', 'does not exist'],
    ['', 'is a folder'],
  ] as const) {
    const read = await readSpecFile(join(folder, path))
    expect(read).toMatchObject({ ok: false, problems: [{ line: 1, column: 1, message: expect.stringContaining(why) }] })
  }
})

test('prompt files are found from the spec’s folder, and missing, empty or huge ones are problems', async () => {
  await mkdir(join(folder, 'prompts'))
  await writeFile(join(folder, 'prompts/p1.md'), 'Be brief.\r\n\n')
  await writeFile(join(folder, 'prompts/p2.md'), ' \n')
  await writeFile(join(folder, 'prompts/p3.md'), 'x'.repeat(1024 ** 2 + 1))
  const read = await readSpecFile(await write('prompts: { p1: { file: prompts/p1.md, mode: replace } }'))
  expect(read).toMatchObject({ ok: true, folder, spec: { prompts: { p1: { text: 'Be brief.', mode: 'replace' } } } })
  expect(
    await problems(
      'prompts:\n  p2: { file: prompts/p2.md }\n  p3: { file: prompts/p3.md }\n  p4: { file: prompts/p4.md }\n',
    ),
  ).toEqual([
    'f:2:9  prompts.p2.file: prompts/p2.md is empty',
    'f:3:9  prompts.p3.file: prompts/p3.md is larger than the 1 MiB allowed',
    'f:4:9  prompts.p4.file: prompts/p4.md does not exist',
  ])
})

test('neither plain secrets nor control characters reach the output', async () => {
  const said = (
    await problems('alerts: { slack: { url: "https://hooks.example/SECRET" } }\n"\\e[31mred": 1\n"a\\nb": 1\n')
  ).join('\n')
  expect(said).not.toContain('SECRET')
  expect(said).not.toContain('\u001b')
  expect(said).toContain('a\uFFFDb')
})

test('endless problems are counted, not printed', async () => {
  const said = await problems(`hosts: [${'1,'.repeat(500)}]`)
  expect(said).toHaveLength(201)
  expect(said.at(-1)).toBe('f:1:1  and 300 more problems')
})

test('any text at all is read as YAML or refused, never thrown at', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      '- ',
      '{',
      '[',
      ']',
      '}',
      ':',
      ': ',
      '\n',
      '  ',
      '&a ',
      '*a',
      '!!',
      '|',
      '>',
      '"',
      "'",
      '#',
      '%',
      '---\n',
      '? ',
      'hosts',
      'name',
      '<<',
    ),
    fc.string({ maxLength: 5 }),
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 30 }), pieces => {
      const read = readYaml(pieces.join(''))
      if (!read.ok)
        for (const { line, column } of read.problems) expect(Math.min(line, column)).toBeGreaterThanOrEqual(1)
    }),
    { numRuns: 500 },
  )
})

test('the problems of a spec with one wrong letter anywhere are placed inside the file', async () => {
  const text = await readFile(join(examples, 'two-gpu-machine/holdfast.yaml'), 'utf8')
  const lines = text.split('\n')
  await fc.assert(
    fc.asyncProperty(fc.nat(text.length - 1), fc.constantFrom(...'x:{}[]-"#& \n%'), async (at, letter) => {
      const read = await readSpecFile(await write(text.slice(0, at) + letter + text.slice(at + 1)))
      if (read.ok) return
      for (const { line, column } of read.problems) {
        expect(line).toBeLessThanOrEqual(lines.length + 1)
        expect(column).toBeLessThanOrEqual(500)
      }
    }),
    { numRuns: 25 },
  )
})
