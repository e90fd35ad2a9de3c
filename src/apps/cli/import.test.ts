import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import { afterAll, afterEach, expect, test } from 'vitest'
import { readSpecFile } from '../../adapters/spec-file/index.ts'
import { CliError } from './client.ts'
import { registerImport } from './import.ts'

const folder = mkdtempSync(join(tmpdir(), 'holdfast-import-'))
const config = join(folder, 'config.yaml')
cpSync(new URL('../../domain/import-litellm/testdata/two-gpu-machine.yaml', import.meta.url), config)
afterAll(() => rmSync(folder, { recursive: true }))
afterEach(() => {
  process.exitCode = 0
})

async function run(args: string[], env: NodeJS.ProcessEnv = {}) {
  const out: string[] = []
  const told: string[] = []
  const program = new Command()
  registerImport(program, { env, out: text => out.push(text), tell: text => told.push(text) })
  await program.parseAsync(['import', 'litellm', ...args], { from: 'user' })
  return { out: out.join('\n'), told: told.join('\n'), exitCode: process.exitCode }
}
const refusal = (args: string[]): Promise<unknown> => run(args).catch((error: unknown) => error)

function file(name: string, content: string): string {
  writeFileSync(join(folder, name), content)
  return join(folder, name)
}

test('the spec that is written is one that can be read', async () => {
  const path = join(folder, 'holdfast.yaml')
  const { out, told, exitCode } = await run([config, '--out', path])
  expect([out, exitCode]).toEqual(['', 0])
  expect(told).toContain(`holdfast check ${path}`)
  expect(told).toContain('model_list[3]: ')
  const read = await readSpecFile(path)
  expect(read.ok && read.spec.models.map(model => model.name)).toEqual([
    'coder',
    'chat',
    'embed',
    'gpt-3.5-turbo',
    'code',
  ])
})

test('the spec goes to standard output and the rest beside it', async () => {
  const { out, told } = await run([config])
  const path = file('piped.yaml', out)
  expect((await readSpecFile(path)).ok).toBe(true)
  expect(told).toContain('Carried over: 5 models.')
})

test('a file that is there is replaced only on request', async () => {
  const path = file('mine.yaml', 'mine')
  expect(await refusal([config, '--out', path])).toMatchObject({
    exitCode: 1,
    message: expect.stringContaining('--force'),
  })
  expect(readFileSync(path, 'utf8')).toBe('mine')
  await run([config, '--out', path, '--force'])
  expect((await readSpecFile(path)).ok).toBe(true)
})

test('JSON has the spec, what was left out and where it went', async () => {
  const { out, told } = await run([config, '--json'])
  expect(JSON.parse(out)).toMatchObject({
    spec: { models: [{ name: 'coder' }, {}, {}, {}, {}] },
    leftOut: expect.arrayContaining([expect.objectContaining({ path: 'general_settings.master_key' })]),
    written: null,
  })
  expect(told).toBe('')
})

test('a config without an engine of one’s own writes nothing and exits 1', async () => {
  const cloud = file('cloud.yaml', 'model_list: [{ model_name: a, litellm_params: { model: azure/a } }]')
  const path = join(folder, 'none.yaml')
  expect(await run([cloud, '--out', path])).toMatchObject({
    out: '',
    exitCode: 1,
    told: expect.stringContaining('azure'),
  })
  expect(existsSync(path)).toBe(false)
})

test('addresses are looked up in the environment', async () => {
  const path = file(
    'env.yaml',
    'model_list: [{ model_name: a, litellm_params: { model: hosted_vllm/a, api_base: os.environ/BASE } }]',
  )
  expect((await run([path], { BASE: 'http://gpu:8000' })).out).toContain('url: http://gpu:8000/v1')
})

test('a config that is missing or no YAML is told with its place', async () => {
  const broken = file('broken.yaml', 'a: 1\na: 2\n')
  expect(await refusal([broken])).toBeInstanceOf(CliError)
  expect(await refusal([broken])).toMatchObject({ message: expect.stringContaining(`${broken}:2:1`) })
  expect(await refusal([join(folder, 'nowhere.yaml')])).toMatchObject({
    message: expect.stringContaining('does not exist'),
  })
})
