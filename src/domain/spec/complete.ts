/** What a spec is completed with before it is served: the texts of prompt files, and a model when it has none. */
import { parseSpec } from './parse.ts'
import { defaultModel } from './references.ts'
import type { Spec, SpecVersion } from './schema.ts'

const defaultVersion = 'dev-v1.0-smoke-2m-q8-0-p0'

/** Puts the texts of prompt files, by the names the spec has for them, in the prompts' place for text. */
export function inlinePrompts(spec: Spec, texts: ReadonlyMap<string, string>): Spec {
  const prompts = Object.entries(spec.prompts).map(([id, prompt]) => {
    const text = prompt.file === undefined ? prompt.text : texts.get(prompt.file)
    return [id, text === undefined ? prompt : { ...prompt, text }]
  })
  return { ...spec, prompts: Object.fromEntries(prompts) }
}

/** A spec without models gets `smoke`, served by the embedded engine from the weights that come with Holdfast. */
export function withDefaults(spec: Spec): Spec {
  if (spec.models.length > 0) return spec
  const taken = new Set(spec.versions.flatMap(version => version.replicas.map(replica => replica.id)))
  const { model, version } = smoke(freeId(taken))
  const known = spec.versions.some(other => other.name === version.name)
  return { ...spec, models: [model], versions: known ? spec.versions : [...spec.versions, version] }
}

function freeId(taken: ReadonlySet<string>): string {
  if (!taken.has(defaultModel)) return defaultModel
  let n = 2
  while (taken.has(`${defaultModel}-${n}`)) n++
  return `${defaultModel}-${n}`
}

/** Read from the form that people write, so that it gets the same defaults. */
function smoke(replica: string): { model: Spec['models'][number]; version: SpecVersion } {
  const reading = parseSpec({
    versions: [
      {
        name: defaultVersion,
        description: 'The small model that comes with Holdfast, to try it and to test it',
        artifact: { from: 'builtin:smoke' },
        engine: { kind: 'embedded', flags: { 'context-size': 512, 'sequences': 8 } },
        replicas: [{ id: replica }],
      },
    ],
    models: [{ name: defaultModel, live: defaultVersion }],
  })
  const [version] = reading.ok ? reading.spec.versions : []
  const [model] = reading.ok ? reading.spec.models : []
  if (version === undefined || model === undefined) throw new Error('the default model is not a valid spec')
  return { model, version }
}
