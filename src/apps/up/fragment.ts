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
  const { base, version } = nameFor(basename(path).replace(/\.gguf$/i, ''))
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
  const used = new Set<string>()
  const served = ids.map(id => {
    const named = nameFor(id)
    // Two ids may differ in what a version name can't say.
    let name = named.version
    for (let n = 1; used.has(name); n++) name = nameFor(`${id}-${n}`).version
    used.add(name)
    return { id, name }
  })
  return {
    versions: served.map(({ id, name }) => ({
      name,
      engine: { kind: 'openai' as const, servedName: id },
      replicas: [
        {
          id: `${slug(id)}-engine`,
          url: base,
          ...(engineKey === null ? {} : { apiKey: '${env:HOLDFAST_ENGINE_KEY}' }),
        },
      ],
    })),
    models: served.map(({ id, name }) => ({ name: id, live: name })),
  }
}

/** `Qwen2.5-Coder-7B-Instruct-Q4_K_M` → base `qwen2-5-coder-7b-instruct`, version `dev-v1.0-…-q4-k-m-p0`. */
function nameFor(text: string): { base: string; version: string } {
  const quantisation = findQuantisation(text)
  const whole = slug(text)
  const base = (quantisation === null ? whole : whole.replace(`-${quantisation}`, '')) || 'model'
  const version = printVersionName({
    channel: 'dev',
    service: { major: 1, minor: 0, patch: null, preRelease: null },
    base,
    quantisation: quantisation ?? untold,
    prompt: 'p0',
  })
  return { base, version }
}

const slug = (text: string): string =>
  text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 80)

function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? error.cause.message : error.message
}
