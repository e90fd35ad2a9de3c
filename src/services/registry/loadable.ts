/** Whether a version's engine can load what is about to be published under its name. */
import { parseVersionName, toQuantisation } from '../../domain/catalog/index.ts'
import type { SpecVersion } from '../../domain/spec/index.ts'
import type { Inspection } from '../inspect-model.ts'

/** Why not, each as a sentence; empty: nothing speaks against it. */
export function whyNotLoadable(
  { name, engine }: Pick<SpecVersion, 'name' | 'engine'>,
  { pickle, engines, format, quantisation }: Pick<Inspection, 'pickle' | 'engines' | 'format' | 'quantisation'>,
): string[] {
  const problems: string[] = []
  const refused = pickle?.imports.filter(({ verdict }) => verdict === 'refused').map(each => each.name) ?? []
  if (refused.length > 0)
    problems.push(
      `loading it would run code (${refused.slice(0, 3).join(', ')}${refused.length > 3 ? ', …' : ''}): publish safetensors of the same model`,
    )
  const verdict = engines.find(each => each.engine === engine.kind)
  if (verdict !== undefined && !verdict.ok && refused.length === 0)
    problems.push(`${engine.kind} does not take it: ${verdict.why}`)
  const named = parseVersionName(name)
  const real = format === 'gguf' ? toQuantisation(quantisation?.name ?? '') : null
  if (named.ok && real !== null && real !== named.name.quantisation)
    problems.push(
      `the name says ${named.name.quantisation}, and the file is ${real}: name the version after what it is`,
    )
  return problems
}
