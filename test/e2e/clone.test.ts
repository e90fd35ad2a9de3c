/** A new user: clones the repository, types what the README says, pastes the line that is printed, and stops. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { firstLines } from '../support/docs.ts'
import { repository } from '../support/service.ts'

const minutes = 60_000
const missingCurl = process.env['HOLDFAST_MISSING_TOOLS']?.split(',').includes('curl') ?? false

const Chat = z.object({ choices: z.tuple([z.object({ message: z.object({ content: z.string().min(1) }) })]) })
const Status = z.object({ processes: z.array(z.object({ role: z.string(), pid: z.number() })) })

const folder = mkdtempSync(join(tmpdir(), 'holdfast-clone-'))
const clone = join(folder, 'holdfast')
const home = join(folder, 'state')
const [install = '', start = ''] = firstLines.start.split(' && ')
const running: ChildProcess[] = []

beforeAll(() => {
  // What the pasted line answers is for a person; the status is told besides, by curl's own settings.
  writeFileSync(join(folder, '.curlrc'), 'silent\nwrite-out = "\\n%{http_code}"\n')
  sh(`git clone --quiet '${repository}' '${clone}'`, folder)
  const began = performance.now()
  // The cache holds what the outer installation fetched.
  sh(`${install} --prefer-offline --no-progress`, clone)
  const size = sh('du -sm node_modules', clone).split('\t')[0]
  console.log(`${install}: ${seconds(began)} s; node_modules ${size} MB`)
}, 10 * minutes)

afterAll(() => {
  for (const { pid } of running) if (pid !== undefined && isAlive(-pid)) process.kill(-pid, 'SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

test('it runs on Node 24, whatever Node the machine has', () => {
  const version = sh('npm run -s holdfast -- version', clone)
  expect(version).toMatch(/^holdfast \d+\.\d+\.\d+ \(Node v(2[4-9]|[3-9]\d)\./)
  console.log(`${sh('node --version', clone).trim()} on the PATH; ${version.trim()}`)
})

describe(`${start}, as the README says`, () => {
  test.skipIf(missingCurl)(
    'prints a line that answers, keeps the key to its owner, and Ctrl-C lets a stream finish and ends it all with exit code 0',
    async () => {
      const { npm, banner } = await begin('first')
      expect(banner).toMatch(/^Holdfast \d+\.\d+\.\d+ is serving\.$/m)
      expect(statSync(home).mode & 0o777).toBe(0o700)
      expect(statSync(join(home, 'admin.key')).mode & 0o777).toBe(0o600)
      expect(banner).toContain(readFileSync(join(home, 'admin.key'), 'utf8').trim())
      const parts = processes()
      expect(parts.map(({ role }) => role).toSorted()).toEqual(['agent', 'controller', 'engine', 'gateway', 'up'])
      const story = await longStream(banner)
      // The terminal sends it to every process of the foreground group; npm then forwards what it got.
      const ended = endsCleanly({ npm, parts }, pid => process.kill(-pid, 'SIGINT'))
      expect(await story.rest()).toMatch(/data: \[DONE\]\n\n$/)
      await ended
    },
    3 * minutes,
  )

  test.skipIf(missingCurl)(
    'starts again with the same key, and SIGTERM to npm ends it all with exit code 0',
    async () => {
      const key = readFileSync(join(home, 'admin.key'), 'utf8')
      const { npm } = await begin('second')
      expect(readFileSync(join(home, 'admin.key'), 'utf8')).toBe(key)
      await endsCleanly({ npm, parts: processes() }, pid => process.kill(pid, 'SIGTERM'))
    },
    3 * minutes,
  )
})

/** Types the README's line (on a free port), waits for the banner, and pastes its line. */
async function begin(which: string): Promise<{ npm: ChildProcess; banner: string }> {
  const began = performance.now()
  const npm = spawn('sh', ['-c', `exec ${start} -- --port 0`], { cwd: clone, env: environment(), detached: true })
  running.push(npm)
  const banner = await bannerOf(npm)
  const answer = sh(pastable(banner), folder)
  console.log(`${which} start: ${seconds(began)} s from the command to the first answer`)
  const [status, ...body] = answer.split('\n').toReversed()
  expect(status).toBe('200')
  expect(Chat.parse(JSON.parse(body.toReversed().join('\n'))).choices[0].message.content).toContain('Paris')
  return { npm, banner }
}

function bannerOf(npm: ChildProcess): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  let said = ''
  let complained = ''
  npm.stderr?.setEncoding('utf8').on('data', (text: string) => (complained += text))
  npm.stdout?.setEncoding('utf8').on('data', (text: string) => {
    said += text
    if (said.includes('Stop: Ctrl-C')) resolve(said)
  })
  npm.once('exit', code => reject(new Error(`npm ended with ${code}:\n${said}\n${complained}`)))
  return promise
}

function pastable(banner: string): string {
  const lines = banner.split('\n')
  const line = lines[lines.indexOf('Try it:') + 1]?.trim() ?? ''
  expect(line).toMatch(/^curl http:\/\/127\.0\.0\.1:\d+\/v1\/chat\/completions /)
  return line
}

/** A stream that has begun. */
async function longStream(banner: string): Promise<{ rest: () => Promise<string> }> {
  const answer = await fetch(`${/http:\S+\/v1/.exec(banner)?.[0]}/chat/completions`, {
    method: 'POST',
    headers: {
      'authorization': `Bearer ${readFileSync(join(home, 'admin.key'), 'utf8').trim()}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify({
      model: 'smoke',
      stream: true,
      max_tokens: 300,
      seed: 1,
      messages: [{ role: 'user', content: 'Tell me a story about a cat.' }],
    }),
  })
  const reader = answer.body?.pipeThrough(new TextDecoderStream()).getReader()
  let text = (await reader?.read())?.value ?? ''
  expect(text).toContain('data: ')
  return {
    rest: async () => {
      for (let next = await reader?.read(); next?.done === false; next = await reader?.read()) text += next.value
      return text
    },
  }
}

type Running = { npm: ChildProcess; parts: { pid: number }[] }

async function endsCleanly({ npm, parts }: Running, signal: (pid: number) => void): Promise<void> {
  expect(parts.length).toBeGreaterThanOrEqual(5)
  const ended = new Promise<[number | null, string | null]>(resolve => {
    npm.once('exit', (code, by) => resolve([code, by]))
  })
  signal(npm.pid ?? 0)
  expect(await ended).toEqual([0, null])
  for (const { pid } of parts) expect(isAlive(pid)).toBe(false)
  expect(commandLinesWith(clone)).toEqual([])
}

function processes(): { role: string; pid: number }[] {
  return Status.parse(JSON.parse(sh('npm run -s holdfast -- status --json', clone))).processes
}

/** Of every process on the machine. */
function commandLinesWith(text: string): string[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .map(pid => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
      } catch {
        // It ended meanwhile.
        return ''
      }
    })
    .filter(line => line.includes(text))
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

function sh(command: string, cwd: string): string {
  const { status, stdout, stderr } = spawnSync('sh', ['-c', command], {
    cwd,
    env: environment(),
    encoding: 'utf8',
    timeout: 8 * minutes,
  })
  if (status !== 0) throw new Error(`'${command}' ended with ${status}:\n${stdout}\n${stderr}`)
  return stdout
}

/** A new user's: nothing of this test run, of the npm around it, or of another service. */
function environment(): NodeJS.ProcessEnv {
  const ours = /^(HOLDFAST_|VITEST|npm_(?!config_)|NODE_(COMPILE_CACHE|ENV|OPTIONS)$|INIT_CWD$|CURL_HOME$)/
  const kept = Object.entries(process.env).filter(([name]) => !ours.test(name))
  const path = process.env['PATH'] ?? ''
  const plainPath = path
    .split(':')
    .filter(each => !each.includes('node_modules'))
    .join(':')
  return { ...Object.fromEntries(kept), PATH: plainPath, HOLDFAST_HOME: home, CURL_HOME: folder }
}

const seconds = (since: number): string => ((performance.now() - since) / 1000).toFixed(1)
