/** What a store is, whatever database keeps it. */
import type { Kysely } from 'kysely'
import type { AccessStore } from '../../domain/access/index.ts'
import type { AuditStore, RequestStore } from '../../domain/journal/index.ts'
import type { QualityStore } from '../../domain/quality/index.ts'
import type { ReleaseStore } from '../../domain/release/index.ts'
import type { FlagStore, GatewayStore } from '../../domain/serving/index.ts'
import { openAccessStore } from './access.ts'
import { openAuditStore } from './audit.ts'
import { openFlagStore } from './flags.ts'
import { openGatewayStore } from './gateways.ts'
import { openQualityStore } from './quality.ts'
import { openReleaseStore } from './releases.ts'
import { openRequestStore } from './requests.ts'
import type { Tables } from './schema.ts'

/** Whatever writes does so in a transaction: on PostgreSQL that is where a controller whose turn is over is refused. */
export type Store = {
  access: AccessStore
  requests: RequestStore
  audit: AuditStore
  gateways: GatewayStore
  releases: ReleaseStore
  flags: FlagStore
  quality: QualityStore
  close(): Promise<void>
}

/** The store over a database that has this program's schema. `keptChanges`: access changes kept for gateways that were away. */
export function openStore(db: Kysely<Tables>, { keptChanges }: { keptChanges?: number | undefined }): Store {
  return {
    access: openAccessStore(db, { kept: keptChanges }),
    requests: openRequestStore(db),
    audit: openAuditStore(db),
    gateways: openGatewayStore(db),
    releases: openReleaseStore(db),
    flags: openFlagStore(db),
    quality: openQualityStore(db),
    close: () => db.destroy(),
  }
}
