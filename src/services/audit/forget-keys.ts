/** What revoked keys still say of the people they were made for. */
import type { AccessPublisher, AccessStore, Key } from '../../domain/access/index.ts'

/**
 * Takes alias, owner and metadata out of those of these keys that are revoked, here and on every gateway; answers which are.
 * Nothing else changes a revoked key, so this needs no turn.
 */
export const forgetKeysBy =
  ({ store, publisher }: { store: Pick<AccessStore, 'keys' | 'commit'>; publisher: AccessPublisher }) =>
  async (ids: readonly string[]): Promise<string[]> => {
    const revoked = (await store.keys()).filter(key => key.revokedAt !== null && ids.includes(key.id))
    const telling = revoked.filter(saysSomething)
    if (telling.length > 0) {
      const changes = telling.map(key => ({
        put: 'key' as const,
        key: { ...key, alias: null, owner: null, metadata: {} },
      }))
      await publisher.publish(await store.commit(changes))
    }
    return revoked.map(key => key.id)
  }

const saysSomething = ({ alias, owner, metadata }: Key): boolean =>
  alias !== null || owner !== null || Object.keys(metadata).length > 0
