/** The command in this process, against a scripted engine. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command, CommanderError } from 'commander'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { startFakeEngine, type FakeEngine, type FakeEngineOptions } from '../../../../tools/fake-engine/index.ts'
import { CliError } from '../client.ts'
import { registerEval } from '../eval.ts'

const folder = mkdtempSync(join(tmpdir(), 'holdfast-eval-'))
const engines: FakeEngine[] = []
beforeEach(() => {
  process.exitCode = 0
})
afterAll(async () => {
  process.exitCode = 0
  for (const engine of engines) await engine.close()
  rmSync(folder, { recursive: true, force: true })
})

async function start(options: FakeEngineOptions = {}): Promise<FakeEngine> {
  const engine = await startFakeEngine({ name: 'fake', ...options })
  engines.push(engine)
  return engine
}

function setOf(name: string, ...cases: object[]): string {
  const path = join(folder, name)
  writeFileSync(path, cases.map((each, i) => JSON.stringify({ id: `c${i}`, ...each })).join('\n'))
  return path
}
const asking = (content: string) => [{ role: 'user', content }]

/** What it prints, and how it ends. */
async function run(...args: string[]): Promise<{ code: number; said: string }> {
  const out: string[] = []
  const program = new Command().exitOverride()
  registerEval(program, {
    ...{ env: { HOLDFAST_HOME: join(folder, 'none') }, out: text => void out.push(text) },
    ...{ progress: () => {}, stop: () => new AbortController().signal },
  })
  const mute = (command: Command): void => {
    command.exitOverride().configureOutput({ writeErr: () => {} })
    command.commands.forEach(mute)
  }
  mute(program)
  try {
    await program.parseAsync(['node', 'holdfast', 'eval', 'run', ...args])
    return { code: Number(process.exitCode), said: out.join('\n') }
  } catch (error) {
    if (error instanceof CliError) return { code: error.exitCode, said: error.message }
    if (error instanceof CommanderError) return { code: 2, said: error.message }
    throw error
  }
}

describe('a judge', () => {
  const marks = (mark: number) => [{ when: 'Reason first, then the score', text: `{"reason": "so", "score": ${mark}}` }]
  const offTopic = ['tide tables', 'The choir meets', 'old orchard', 'bicycle shed'].map(when => ({
    ...{ when, text: '{"reason": "about something else", "score": 1}' },
  }))
  const judge = (engine: FakeEngine, ...more: string[]) => {
    const set = setOf(
      'judged.jsonl',
      ...['a', 'b', 'c'].map(word => ({ messages: asking(word), expect: { rubric: 'is kind' } })),
    )
    return run(set, '--url', `${engine.url}/v1/`, '--model', 'fake', '--judge', 'fake', ...more)
  }

  test('that tells good from bad decides, and is pinned; that it judges itself is told', async () => {
    const engine = await start({ says: [...offTopic, ...marks(9)] })
    const good = await judge(engine, '--json')
    expect(JSON.parse(good.said)).toMatchObject({
      outcome: { verdict: 'pass' },
      judge: { pin: { judge: 'fake', temperature: 0, prompt: 'rubric-1 claims-1' } },
      kinship: [expect.stringContaining('The judge is fake itself')],
    })
    expect(good.code).toBe(0)
    engine.behave({ says: [...offTopic, ...marks(3)] })
    expect(await judge(engine)).toMatchObject({ code: 1, said: expect.stringContaining('Verdict: fail.') })
  })

  test('that likes everything neither passes nor fails', async () => {
    const { said, code } = await judge(await start({ says: marks(9) }))
    expect(said).toContain(
      'Verdict: judge-inadmissible. The judge may not judge: it prefers answers that talk of something else',
    )
    expect(code).toBe(1)
  })

  test('that says no mark is inadmissible, too, and for that', async () => {
    const { said } = await judge(await start())
    expect(said).toMatch(/judge-inadmissible.*of its answers can’t be read/)
    expect(said).not.toContain('something else')
  })
})

describe('an earlier run', () => {
  const cases = (word: string) =>
    Array.from({ length: 4 }, (_, i) => ({ messages: asking(`${word} ${i}`), expect: { contains: 'word0' } }))

  test('is what the next one is compared with; cases that were changed are not', async () => {
    const engine = await start()
    const kept = join(folder, 'kept.json')
    const at = ['--url', engine.url, '--model', 'fake']
    expect((await run(setOf('set.jsonl', ...cases('a')), ...at, '--out', kept)).code).toBe(0)
    expect((await run(setOf('set.jsonl', ...cases('a')), ...at, '--baseline', kept)).said).toContain('Verdict: pass.')
    const changed = await run(setOf('set.jsonl', ...cases('a').slice(1), ...cases('b')), ...at, '--baseline', kept)
    expect(changed).toMatchObject({ code: 1, said: expect.stringContaining('are not in the baseline') })
  })

  test('by another judge is refused: its marks are another scale', async () => {
    const engine = await start()
    const kept = join(folder, 'judged.json')
    const at = [setOf('set.jsonl', ...cases('a')), '--url', engine.url, '--model', 'fake']
    await run(...at, '--out', kept)
    const results = JSON.parse(readFileSync(kept, 'utf8'))
    writeFileSync(kept, JSON.stringify({ ...results, judge: { pin: { judge: 'somebody' } } }))
    expect(await run(...at, '--baseline', kept)).toMatchObject({
      code: 2,
      said: expect.stringContaining('judged by somebody'),
    })
  })
})

describe('wrong usage is exit code 2', () => {
  const set = () => setOf('usage.jsonl', { messages: asking('x'), expect: { contains: 'x' } })
  const rubric = () => setOf('rubric.jsonl', { messages: asking('x'), expect: { rubric: 'x' } })

  test.each([
    [() => ['nowhere.jsonl', '--model', 'm'], 'can’t be read (ENOENT)'],
    [() => [set()], "required option '--model <name>'"],
    [() => [set(), '--model', 'm', '--against', 'n', '--baseline', 'x'], 'exclude each other'],
    [() => [set(), '--model', 'm', '--baseline', set()], 'is no run that --out kept'],
    [() => [set(), '--model', 'm', '--margin', '200%'], 'It must be a share'],
    [() => [set(), '--model', 'm', '--url', 'ftp://x'], "--url is 'ftp://x'"],
    [() => [rubric(), '--model', 'm'], 'name a judge with --judge'],
    [() => [setOf('bad.jsonl', { messages: [] }), '--model', 'm'], 'bad.jsonl:1: messages must be a list'],
  ])('%#', async (args, said) => {
    expect(await run(...args())).toMatchObject({ code: 2, said: expect.stringContaining(said) })
  })
})

test('an address where nobody answers is told at once', async () => {
  const set = setOf('nobody.jsonl', { messages: asking('x') })
  const { url, close } = await start()
  await close()
  expect(await run(set, '--url', url, '--model', 'x')).toEqual({
    ...{ code: 1, said: `No model was asked: nothing answers at ${url} (ECONNREFUSED).` },
  })
})

test('a file that can’t be written is told', async () => {
  const engine = await start()
  const set = setOf('write.jsonl', { messages: asking('x'), expect: { contains: 'word0' } })
  const { code, said } = await run(
    set,
    '--url',
    engine.url,
    '--model',
    'fake',
    '--out',
    join(folder, 'no', 'such.json'),
  )
  expect([code, said]).toEqual([1, expect.stringContaining('can’t be written (ENOENT)')])
})
