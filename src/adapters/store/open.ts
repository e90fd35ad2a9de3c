/** What a store is, whatever database keeps it. */
import type { Kysely } from 'kysely'
import type { AccessStore } from '../../domain/access/index.ts'
import type { RequestStore } from '../../domain/journal/index.ts'
import type { GatewayStore } from '../../domain/serving/index.ts'
import { openAccessStore } from './access.ts'
import { openGatewayStore } from './gateways.ts'
import { openRequestStore } from './requests.ts'
import type { Tables } from './schema.ts'

export type Store = {
  access: AccessStore
  requests: RequestStore
  gateways: GatewayStore
  close(): Promise<void>
}

/** The store over a database that has this program's schema. `keptChanges`: access changes kept for gateways that were away. */
export function openStore(db: Kysely<Tables>, { keptChanges }: { keptChanges?: number | undefined }): Store {
  return {
    access: openAccessStore(db, { kept: keptChanges }),
    requests: openRequestStore(db),
    gateways: openGatewayStore(db),
    close: () => db.destroy(),
  }
}
