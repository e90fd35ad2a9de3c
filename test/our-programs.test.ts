/** The programs that are for us say how to call them, and what they can't take. */
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { repository } from './support/service.ts'

const programs = [
  { file: 'scripts/verify.ts', wrong: ['--only', 'lint,nonsense'], says: /--only.*no such step/ },
  { file: 'test/chaos/chaos.main.ts', wrong: ['--faults', 'nonsense'], says: /--faults.*no such fault/ },
  { file: 'test/chaos/soak.main.ts', wrong: ['--requests', '0'], says: /--requests: / },
  { file: 'bench/gateway/run.ts', wrong: ['--systems', 'nginx,nonsense'], says: /--systems.*"nginx"/ },
  { file: 'bench/peers/run.ts', wrong: ['--rounds', 'many'], says: /--rounds: / },
  { file: 'bench/affinity/run.ts', wrong: ['--nonsense'], says: /'--nonsense'/ },
  { file: 'bench/releases/run.ts', wrong: ['--seed', 'x'], says: /--seed: / },
  { file: 'bench/releases/machine.main.ts', wrong: ['nonsense'], says: /'nonsense'/ },
]

test.each(programs)('$file --help tells, and what it can’t take is a line and 2', async ({ file, wrong, says }) => {
  const [help, refused] = await Promise.all([run(file, ['--help']), run(file, wrong)])
  expect(help).toMatchObject({ code: 0, stdout: expect.stringMatching(/^(npm run|npm test|bin\/node24) /), stderr: '' })
  expect(refused).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(says) })
  expect(refused.stderr).toContain(help.stdout.trim())
  expect(refused.stderr).not.toContain('    at ')
})

function run(file: string, args: string[]): Promise<{ code: number | string; stdout: string; stderr: string }> {
  const { promise, resolve } = Promise.withResolvers<{ code: number | string; stdout: string; stderr: string }>()
  execFile(join(repository, 'bin/node24'), [file, ...args], { cwd: repository }, (error, stdout, stderr) =>
    resolve({ code: error?.code ?? 0, stdout, stderr }),
  )
  return promise
}
