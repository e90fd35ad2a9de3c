/** What `--gguf`, `--model` and `--engine` add to the spec. */
import { existsSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import { nameFor, quantisationsIn } from '../../domain/catalog/index.ts'
import type { SpecInput } from '../../domain/spec/index.ts'
import { askEngine } from '../../adapters/discovery/index.ts'

export type Additions = { gguf: string | null; model: string | null; engine: string | null; engineKey: string | null }

const channel = 'dev'
const engineAnswerMs = 5_000

/** `null`: nothing is added. Throws an Error that says what is wrong with the file or address. */
export async function toFragment({ gguf, model, engine, engineKey }: Additions): Promise<SpecInput | null> {
  const parts = [
    gguf === null ? null : ofGguf(gguf),
    model === null ? null : ofModel(model),
    engine === null ? null : await ofEngine(engine, engineKey),
  ].filter(part => part !== null)
  if (parts.length === 0) return null
  return { versions: parts.flatMap(part => part.versions), models: parts.flatMap(part => part.models) }
}

type Part = { versions: NonNullable<SpecInput['versions']>; models: NonNullable<SpecInput['models']> }

function ofGguf(path: string): Part {
  if (!existsSync(path)) throw new Error(`--gguf: there is no file ${resolve(path)}`)
  return ofWeights(`file:${resolve(path)}`, path)
}

/** `from` was checked before: `hf:<repository>@<commit>:<file>.gguf`. */
const ofModel = (from: string): Part => ofWeights(from, from.slice(from.lastIndexOf(':') + 1))

/** Of a split model, all parts are meant. */
const fileEnd = /(-\d{5}-of-\d{5})?\.gguf$/i

function ofWeights(from: string, path: string): Part {
  const { base, version } = nameFor(basename(path).replace(fileEnd, ''), { channel, taken: new Set() })
  return {
    versions: [
      {
        name: version,
        artifact: { from },
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
  const { kind, models } = await askEngine(base, engineKey, engineAnswerMs).catch((error: unknown) => {
    throw new Error(`--engine: no OpenAI-compatible engine answers at ${base} (${reason(error)}). Is it running?`, {
      cause: error,
    })
  })
  if (models.length === 0) throw new Error(`--engine: ${base} serves no model yet. Load one there first.`)
  const taken = new Set<string>()
  const served = models.map(({ id, quantisation }) => {
    // The name's own word counts.
    const text = quantisation === null || quantisationsIn(id).length > 0 ? id : `${id}-${quantisation}`
    return { id, ...nameFor(text, { channel, taken }) }
  })
  return {
    versions: served.map(({ id, key, version }) => ({
      name: version,
      engine: { kind, servedName: id },
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

function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause instanceof Error ? error.cause.message : error.message
}
