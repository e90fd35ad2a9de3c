import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { checkSpec } from './check.ts'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'holdfast-check-'))
})
afterAll(async () => {
  await rm(folder, { recursive: true })
})

async function check(content: string, json = false) {
  const path = join(folder, 'holdfast.yaml')
  await writeFile(path, content)
  const { exitCode, output } = await checkSpec(path, { json })
  return { exitCode, output: output.replaceAll(folder, '.') }
}

test('a good spec is ok and exits 0', async () => {
  expect(await check('name: lab')).toEqual({
    exitCode: 0,
    output: './holdfast.yaml: ok\nStart it with: holdfast up ./holdfast.yaml\n',
  })
})

test('what is not acted on is listed', async () => {
  expect((await check('gitops: { repository: "https://git.example/a.git" }')).output).toBe(
    './holdfast.yaml: ok\nAccepted, not acted on yet:\n  gitops\nStart it with: holdfast up ./holdfast.yaml\n',
  )
  expect(JSON.parse((await check('gitops: { repository: "https://git.example/a.git" }', true)).output)).toEqual({
    ok: true,
    notActedOn: ['gitops'],
  })
})

test('every problem is printed with its place, and the exit code is 1', async () => {
  expect(await check('nmae: lab\ngateway: { maxStale: 1 }')).toEqual({
    exitCode: 1,
    output: [
      './holdfast.yaml:1:1  nmae: unknown key "nmae"',
      '    did you mean "name"?',
      './holdfast.yaml:2:12  gateway.maxStale: expected a duration with its unit (ms, s, m, h, d), such as 30s or 5m',
      '2 problems.',
      '',
    ].join('\n'),
  })
  const { exitCode, output } = await check('nmae: lab', true)
  expect([exitCode, JSON.parse(output)]).toEqual([
    1,
    {
      ok: false,
      problems: [
        {
          file: './holdfast.yaml',
          line: 1,
          column: 1,
          path: ['nmae'],
          message: 'unknown key "nmae"',
          suggestion: 'name',
        },
      ],
    },
  ])
})

test('a missing spec is a problem', async () => {
  expect(await checkSpec(join(folder, 'none.yaml'), { json: false })).toMatchObject({
    exitCode: 1,
    output: expect.stringContaining('does not exist'),
  })
})
