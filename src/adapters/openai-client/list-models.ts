/** Which models an address serves, and which version of each, as far as it tells. */
import { listAt, parseJson, textAt } from './json.ts'
import { get, type Address } from './post.ts'

/** `version`: Holdfast's gateways tell it. */
export type ListedModel = { name: string; version: string | null }

/** `null`: it does not tell. Rejects with AskError when nothing answers, or when the key is refused. */
export async function listModels(
  address: Omit<Address, 'model'>,
  signal: AbortSignal,
): Promise<readonly ListedModel[] | null> {
  const { status, text } = await get(address, '/v1/models', signal)
  if (status !== 200) return null
  const list = parseJson(text)
  const versions = new Map(listAt(list, 'models').map(entry => [textAt(entry, 'name'), textAt(entry, 'version')]))
  return listAt(list, 'data').flatMap(entry => {
    const name = textAt(entry, 'id')
    return name === null ? [] : [{ name, version: versions.get(name) ?? null }]
  })
}
