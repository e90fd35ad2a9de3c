/** Makes a key that may be born blocked, as LiteLLM's can. */
import type { Key } from '../../domain/access/index.ts'
import type { Keys, NewKey } from '../../services/access/index.ts'

export async function bearKey(
  keys: Pick<Keys, 'create' | 'block'>,
  ask: NewKey,
  { blocked }: { blocked: boolean },
): Promise<{ key: Key; secret: string }> {
  const { key, secret } = await keys.create(ask)
  // Nobody knows the key yet, so it was not open in between.
  return { key: blocked ? (await keys.block(key.id)).key : key, secret }
}
