/** What `--gguf` and `--engine` add to the spec. */
import { existsSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import { findQuantisation, printVersionName } from '../../domain/catalog/index.ts'
import type { SpecInput } from '../../domain/spec/index.ts'
import { listModels } from '../../adapters/discovery/index.ts'

export type Additions = { gguf: string | null; engine: string | null; engineKey: string | null }

/** What a name says when nothing tells the precision: most engines load weights as they come, in 16 bits. */
const untold = 'fp16'
const engineAnswerMs = 5_000

/** `null`: nothing is added. Throws an Error that says what is wrong with the file or address. */
export async function toFragment({ gguf, engine, engineKey }: Additions): Promise<SpecInput | null> {
  const parts = [
    gguf === null ? null : ofGguf(gguf),
    engine === null ? null : await ofEngine(engine, engineKey),
  ].filter(part => part !== null)
  if (parts.length === 0) return null
  return { versions: parts.flatMap(part => part.versions), models: parts.flatMap(part => part.models) }
}

type Part = { versions: NonNullable<SpecInput['versions']>; models: NonNullable<SpecInput['models']> }

function ofGguf(path: string): Part {
  if (!existsSync(path)) throw new Error(`--gguf: there is no file ${resolve(path)}`)
  const { base, version } = nameFor(basename(path).replace(/\.gguf$/i, ''), new Set())
  return {
    versions: [
      {
        name: version,
        artifact: { from: `file:${resolve(path)}` },
        engine: { kind: 'embedded' },
        replicas: [{ id: base }],
      },
    ],
    models: [{ name: base, live: version }],
  }
}

async function ofEngine(address: string, engineKey: string | null): Promise<Part> {
  const url = address.replace(/\/+$/, '')
  if (!URL.canParse(url) || !/^https?:/.test(url))
    throw new Error(`--engine: '${address}' is not an http address, such as http://127.0.0.1:8000/v1`)
  const base = /\/v\d+$/.test(url) ? url : `${url}/v1`
  const ids = await listModels(base, engineKey, engineAnswerMs).catch((error: unknown) => {
    throw new Error(`--engine: no OpenAI-compatible engine answers at ${base} (${reason(error)}). Is it running?`, {
      cause: error,
    })
  })
  if (ids.length === 0) throw new Error(`--engine: ${base} serves no model yet. Load one there first.`)
  const taken = new Set<string>()
  const served = ids.map(id => ({ id, ...nameFor(id, taken) }))
  return {
    versions: served.map(({ id, key, version }) => ({
      name: version,
      engine: { kind: 'openai' as const, servedName: id },
      replicas: [
        {
          id: `${key}-engine`,
          url: base,
          ...(engineKey === null ? {} : { apiKey: '${env:HOLDFAST_ENGINE_KEY}' }),
        },
      ],
    })),
    models: served.map(({ id, key, version }) => ({ name: publicModel.test(id) ? id : key, live: version })),
  }
}

/** What the spec takes as a public name; an engine may call its models otherwise. */
const publicModel = /^[A-Za-z0-9._:/-]{1,128}$/
/** With the quantisation and `-engine`, a replica's id has at most 63 characters. */
const longestBase = 40

/**
 * `Qwen2.5-Coder-7B-Instruct-Q4_K_M` → base `qwen2-5-coder-7b-instruct`, version `dev-v1.0-…-q4-k-m-p0`.
 * `taken`: keys in use; ids may differ in what a version name can't say, and get a number then.
 */
function nameFor(text: string, taken: Set<string>): { key: string; base: string; version: string } {
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
      channel: 'dev',
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

function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? error.cause.message : error.message
}
