/** Pressing Tab, in the real shells. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'

const missing = process.env['HOLDFAST_MISSING_TOOLS']?.split(',') ?? []
let folder = ''
const script = (shell: string): string => join(folder, `completion.${shell}`)

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'holdfast-completion-'))
  for (const shell of ['bash', 'zsh', 'fish'])
    writeFileSync(script(shell), execFileSync('bin/holdfast', ['completion', shell]))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** What a shell offers after `line`, one word each. */
const offers: Record<string, (line: string) => string[]> = {
  bash(line) {
    const words = line.split(' ').map(word => `'${word}'`)
    const press = `COMP_WORDS=(${words.join(' ')}); COMP_CWORD=${words.length - 1}; _holdfast; printf '%s\\n' "\${COMPREPLY[@]}"`
    return run('bash', ['--norc', '-c', `source ${script('bash')}; ${press}`])
  },
  fish(line) {
    const lines = run('fish', ['--no-config', '-c', `source ${script('fish')}; complete -C '${line}'`])
    return lines.map(each => each.split('\t')[0] ?? '')
  },
  zsh(line) {
    // Completion needs a terminal: a second zsh in one, whose words are taken instead of shown.
    const inner = [
      'zmodload zsh/zpty',
      'zpty shell zsh -f -i',
      `zpty -w shell 'autoload -Uz compinit; compinit -u -D; source ${script('zsh')}; _describe() { print -l OFFERED $items OVER }; echo LOADED:'`,
      "zpty -r shell out '*LOADED:*LOADED:*'",
      `zpty -n -w shell $'${line}\\t'`,
      "zpty -r -m shell out '*OFFERED*OVER*'",
      'print -r -- "$out"',
    ]
    const lines = run('zsh', ['-f', '-c', inner.join('\n')])
    const from = lines.lastIndexOf('OFFERED')
    const offered = lines.slice(from + 1, lines.indexOf('OVER', from)).map(each => each.split(':')[0] ?? '')
    const begun = line.split(' ').at(-1) ?? ''
    return offered.filter(word => word.startsWith(begun))
  },
}

function run(shell: string, args: string[]): string[] {
  const text = execFileSync(shell, args, { encoding: 'utf8', timeout: 20_000, env: { ...process.env, TERM: 'dumb' } })
  return text
    .split(/\r*\n/)
    .map(line => line.trim())
    .filter(line => line !== '')
}

for (const [shell, press] of Object.entries(offers)) {
  test.skipIf(missing.includes(shell) && process.env['CI'] !== 'true')(
    `${shell} completes commands, choices and options`,
    () => {
      expect(press('holdfast comp')).toEqual(['completion'])
      expect(press('holdfast key ro')).toEqual(['rotate'])
      expect(press('holdfast connect cl').toSorted()).toEqual(['claude-code', 'cline'])
      expect(press('holdfast audit verify --js')).toEqual(['--json'])
      expect(press('holdfast nonsense')).toEqual([])
    },
  )
}
