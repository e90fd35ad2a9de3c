/** Names for versions of models that were named freely: by an engine, a file, or somebody's config. */
import { findQuantisation } from './quantisation.ts'
import { printVersionName } from './version-name.ts'

/** What a name says when nothing tells the precision: most engines load weights as they come, in 16 bits. */
const untold = 'fp16'
/** With the quantisation and a word more, a replica's id has at most 63 characters. */
const longestBase = 40

/**
 * `Qwen2.5-Coder-7B-Instruct-Q4_K_M` → base `qwen2-5-coder-7b-instruct`, version `<channel>-v1.0-…-q4-k-m-p0`.
 * `taken`: keys in use, to which this one is added; texts may differ in what a version name can't say, and get a number then.
 */
export function nameFor(
  text: string,
  { channel, taken }: { channel: string; taken: Set<string> },
): { key: string; base: string; version: string } {
  const quantisation = findQuantisation(text)
  const whole = slug(text)
  const plain = quantisation === null ? whole : whole.replace(`-${quantisation}`, '')
  const start = plain.slice(0, longestBase).replace(/-+$/, '') || 'model'
  for (let n = 1; ; n++) {
    const base = n === 1 ? start : `${start}-${n}`
    const key = `${base}-${quantisation ?? untold}`
    if (taken.has(key)) continue
    taken.add(key)
    const version = printVersionName({
      channel,
      service: { major: 1, minor: 0, patch: null, preRelease: null },
      base,
      quantisation: quantisation ?? untold,
      prompt: 'p0',
    })
    return { key, base, version }
  }
}

const slug = (text: string): string =>
  text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
