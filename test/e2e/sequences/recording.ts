/** What was recorded of one program, and how its requests are made whole again. `../sequences.test.ts` says how it was recorded. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { z } from 'zod'

const Step = z.strictObject({
  method: z.enum(['GET', 'POST', 'HEAD']),
  path: z.string(),
  headers: z.record(z.string(), z.string()),
  /** JSON with the marks below; `form`: the parts of a form instead. */
  body: z.unknown().optional(),
  form: z
    .array(z.strictObject({ name: z.string(), value: z.string().optional(), file: z.string().optional() }))
    .optional(),
  /** Sent without waiting for the step before it. */
  alongside: z.literal(true).optional(),
  /** The program hung up in the middle of the answer. */
  leaves: z.literal(true).optional(),
  /** What it was answered. */
  status: z.int(),
  events: z.array(z.string()),
  error: z.strictObject({ type: z.string(), code: z.string() }).optional(),
})
const Sequence = z.strictObject({
  name: z.string(),
  /** What was run. */
  command: z.string(),
  steps: z.array(Step).min(1),
})
const Recording = z.strictObject({
  program: z.string(),
  version: z.string(),
  /** Parts of bodies that come again and again: `{"$piece": "name"}`. */
  pieces: z.record(z.string(), z.unknown()),
  sequences: z.array(Sequence).min(1),
})
export type Step = z.output<typeof Step>
export type Sequence = z.output<typeof Sequence>
export type Recording = z.output<typeof Recording>

export const programs = ['claude-code', 'codex', 'openwebui', 'continue', 'cline'] as const
export type Program = (typeof programs)[number]

export function readRecording(program: Program): Recording {
  const file = new URL(`./recorded/${program}.json`, import.meta.url)
  return Recording.parse(JSON.parse(readFileSync(file, 'utf8')))
}

/** What marks stand for while a sequence is played. */
export type Scope = {
  key: string
  /** By the recorded name of a model, the name that it has here. */
  models: Readonly<Record<string, string>>
  pieces: Recording['pieces']
  /** What the steps so far were answered. */
  heard: readonly unknown[]
}

/**
 * Marks in strings: `{{text 120/3}}` was the program's own text, 120 characters in 3 lines; `{{uuid 1}}`, `{{hex 64}}`,
 * `{{key}}`, `{{model coder}}`; `{{heard 0 calls.1.id}}` is what step 0 was answered there, of whatever type.
 */
export function fill(value: unknown, scope: Scope): unknown {
  if (typeof value === 'string') return fillText(value, scope)
  if (Array.isArray(value)) return value.map(each => fill(each, scope))
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value)
  const [only, ...others] = entries
  if (only?.[0] === '$piece' && others.length === 0) return fill(scope.pieces[String(only[1])], scope)
  return Object.fromEntries(entries.map(([name, each]) => [name, fill(each, scope)]))
}

export function fillText(text: string, scope: Scope): unknown {
  const whole = /^\{\{heard (\d+) ([\w.]+)\}\}$/.exec(text)
  if (whole !== null) return at(scope.heard[Number(whole[1])], whole[2] ?? '')
  return text.replaceAll(/\{\{(\w+) ?([^}]*)\}\}/g, (mark, what: string, rest: string) => {
    switch (what) {
      case 'text': {
        const [characters, lines] = rest.split('/').map(Number)
        return filler(characters ?? 0, lines ?? 1)
      }
      case 'uuid':
        return uuid(rest)
      case 'hex':
        return createHash('sha512').update(rest).digest('hex').slice(0, Number(rest))
      case 'key':
        return scope.key
      case 'model':
        return scope.models[rest] ?? rest
      case 'heard': {
        const [step, path = ''] = rest.split(' ')
        return String(at(scope.heard[Number(step)], path))
      }
      default:
        throw new Error(`${mark} stands for nothing`)
    }
  })
}

function at(value: unknown, path: string): unknown {
  return path.split('.').reduce((inside, name) => {
    // Only objects and lists have what is asked for here.
    const next = (inside as Record<string, unknown> | null | undefined)?.[name]
    if (next === undefined) throw new Error(`what was heard has no ${path}: ${JSON.stringify(value)}`)
    return next
  }, value)
}

/** Words, so that tokenizers find as much in it as in text. */
function filler(characters: number, lines: number): string {
  const perLine = Math.max(1, Math.floor(characters / lines))
  const text = 'word '.repeat(Math.ceil(characters / 5)).slice(0, characters)
  return Array.from(text, (letter, i) => (letter === ' ' && i % perLine < 5 && i >= perLine ? '\n' : letter)).join('')
}

function uuid(seed: string): string {
  const hex = createHash('sha256').update(seed).digest('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), `7${hex.slice(13, 16)}`, `8${hex.slice(17, 20)}`, hex.slice(20, 32)].join(
    '-',
  )
}
