/** Version names, `production-v2.1-llama3-8b-awq-p42`: read from both ends, one reading or a refusal. Rules: SPEC.md. */
import { toQuantisation } from './quantisation.ts'
import type { Quantisation } from './quantisation.ts'

export type VersionNameParts = {
  /** `production`, `staging`, `dev`, or another lower-case word. */
  channel: string
  /** The service's own version. `null`: not written (`v2` is not the same name as `v2.0`). */
  service: { major: number; minor: number | null; patch: number | null; preRelease: string | null }
  /** The base model: lower-case words joined by `-`. */
  base: string
  quantisation: Quantisation
  /** The prompt's id: `p` and digits. */
  prompt: string
}

/** `position` counts UTF-16 units from 0 and is at most the text's length (something is missing at the end). */
export type VersionNameReading =
  | { ok: true; name: VersionNameParts }
  | { ok: false; position: number; expected: string }

const expected = {
  channel: "a channel of lower-case letters and digits, such as 'production'",
  version: "the service version, '-v' and a number such as 'v2.1'",
  number: 'a number of at most 9 digits without leading zeros',
  base: "a base model of lower-case words, such as 'llama3-8b'",
  word: "lower-case letters and digits, words joined by one '-'",
  dot: "no '.' in the base model's name (write '-', or leave it out)",
  quantisation: "a known quantisation before the prompt, such as 'fp16', 'awq' or 'q4-k-m'",
  prompt: "the prompt at the end, '-p' and a number without leading zeros, such as '-p0'",
}

/** Reads a version name. Total: every text gives one reading or the first place that is wrong, and what belongs there. */
export function parseVersionName(text: string): VersionNameReading {
  const left = parseLeft(text)
  if ('expected' in left) return { ok: false, ...left }
  const right = parseRight(text, left.end)
  if ('expected' in right) return { ok: false, ...right }
  const base = text.slice(left.end, right.start)
  const wrong = firstWrongInBase(base)
  if (wrong !== null) return { ok: false, position: left.end + wrong.position, expected: wrong.expected }
  return {
    ok: true,
    name: {
      channel: left.channel,
      service: left.service,
      base,
      quantisation: right.quantisation,
      prompt: right.prompt,
    },
  }
}

/** The name that `parseVersionName` reads as these parts. */
export function printVersionName({ channel, service, base, quantisation, prompt }: VersionNameParts): string {
  const numbers = [service.major, service.minor, service.patch].filter(number => number !== null).join('.')
  const preRelease = service.preRelease === null ? '' : `-${service.preRelease}`
  return `${channel}-v${numbers}${preRelease}-${base}-${quantisation}-${prompt}`
}

type Wrong = { position: number; expected: string }
type Left = { channel: string; service: VersionNameParts['service']; end: number }
type Right = { quantisation: Quantisation; prompt: string; start: number }

/** `<channel>-v<service version>-`; `end` is where the base model starts. */
function parseLeft(text: string): Left | Wrong {
  const channel = /^[a-z][a-z0-9]*/.exec(text)?.[0]
  if (channel === undefined) return { position: 0, expected: expected.channel }
  const marker = matchedLength(text, channel.length, '-v')
  if (marker < 2) return { position: channel.length + marker, expected: expected.version }

  const numbers: number[] = []
  let at = channel.length + 2
  for (;;) {
    const digits = /^\d*/.exec(text.slice(at))?.[0] ?? ''
    if (!/^(0|[1-9]\d{0,8})$/.test(digits)) return { position: at, expected: expected.number }
    numbers.push(Number(digits))
    at += digits.length
    if (numbers.length === 3 || text[at] !== '.') break
    at++
  }
  if (text[at] !== '-') return { position: at, expected: expected.base.replace('a base', "'-' and a base") }
  at++

  const preRelease = /^[a-z]+(\.(0|[1-9]\d*))+(?=-)/.exec(text.slice(at))?.[0] ?? null
  if (preRelease !== null) at += preRelease.length + 1
  const [major = 0, minor = null, patch = null] = numbers
  return { channel, service: { major, minor, patch, preRelease }, end: at }
}

/** `-<quantisation>-p<id>`, not reaching left of `from`; `start` is where the base model ends. */
function parseRight(text: string, from: number): Right | Wrong {
  const prompt = /-(p(?:0|[1-9]\d*))$/.exec(text)?.[1]
  if (prompt === undefined) return { position: promptWrongAt(text, from), expected: expected.prompt }
  const promptStart = text.length - prompt.length
  if (promptStart <= from) return { position: from, expected: expected.base }

  const before = text.slice(from, promptStart - 1)
  const words = before.split('-')
  // The longest token wins; one word at least is left for the base model (R5).
  for (let count = Math.min(3, words.length); count > 0; count--) {
    const token = words.slice(-count).join('-')
    const quantisation = toQuantisation(token)
    if (quantisation !== token) continue
    if (count === words.length) return { position: from, expected: expected.base }
    return { quantisation, prompt, start: from + before.length - token.length - 1 }
  }
  return { position: from + before.length - (words.at(-1)?.length ?? 0), expected: expected.quantisation }
}

/** Where a text that does not end in a prompt goes wrong: inside a last word that looks like one, else at the end. */
function promptWrongAt(text: string, from: number): number {
  const lastWord = Math.max(text.lastIndexOf('-') + 1, from)
  const start = /^p(0|[1-9]\d*)?/.exec(text.slice(lastWord))?.[0]
  return start === undefined ? text.length : lastWord + start.length
}

function firstWrongInBase(base: string): Wrong | null {
  if (base === '') return { position: 0, expected: expected.base }
  const wrong = /[^a-z0-9-]|^-|-$|--/.exec(base)
  if (wrong === null) return null
  const position = wrong[0] === '--' ? wrong.index + 1 : wrong.index
  return { position, expected: wrong[0] === '.' ? expected.dot : expected.word }
}

/** How many characters of `wanted` stand at `at`. */
function matchedLength(text: string, at: number, wanted: string): number {
  let count = 0
  while (count < wanted.length && text[at + count] === wanted[count]) count++
  return count
}
