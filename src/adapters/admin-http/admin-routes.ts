/** `/api/v1`: Holdfast's own administration, for the admin key; its description is open to all. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { FaultError } from '../../domain/fault.ts'
import type { Instant } from '../../domain/units.ts'
import type { Access, Identify } from '../../services/access/index.ts'
import { auditRoutes } from './audit.ts'
import type { AuditRouteParts } from './audit.ts'
import { flagRoutes } from './flags.ts'
import type { FlagAdmin } from './flags.ts'
import { gatewayRoutes } from './gateways.ts'
import type { GatewayAdmin } from './gateways.ts'
import { keyRoutes } from './keys.ts'
import { qualityRoutes } from './quality.ts'
import type { QualityAdmin } from './quality.ts'
import { releaseRoutes } from './releases.ts'
import type { ReleaseAdmin } from './releases.ts'
import { recordRoutes } from './records.ts'
import type { RecordParts } from './records.ts'
import { specRoutes } from './spec.ts'
import type { SpecAdmin } from './spec.ts'
import { spendRoutes } from './spend.ts'
import type { SpendParts } from './spend.ts'
import { statusRoutes } from './status.ts'
import type { Status } from './status.ts'
import { teamRoutes } from './teams.ts'

export type AdminParts = Omit<RecordParts, 'keys' | 'removals'> &
  AuditRouteParts &
  SpendParts & {
    access: Access
    identify: Identify
    gateways: GatewayAdmin
    reload: SpecAdmin
    releases: ReleaseAdmin
    flags: FlagAdmin
    quality: QualityAdmin
    status: () => Promise<Status>
    now: () => Instant
  }

export const adminRoutes =
  (parts: AdminParts): FastifyPluginAsyncZod =>
  async app => {
    app.get('/api/v1/openapi.json', { schema: { hide: true } }, async () => app.swagger())

    await app.register(
      async guarded => {
        // Before the body is read: strangers can't make the controller hold megabytes.
        guarded.addHook('onRequest', async request => {
          const principal = await parts.identify(request.headers.authorization)
          if (principal.kind !== 'admin') throw new FaultError({ kind: 'admin-required', what: 'Administration' })
        })
        await guarded.register(keyRoutes({ keys: parts.access.keys, now: parts.now }))
        await guarded.register(teamRoutes({ teams: parts.access.teams }))
        await guarded.register(
          recordRoutes({ ...parts, keys: parts.access.keys, removals: parts.audit.store.removals }),
        )
        await guarded.register(auditRoutes(parts))
        await guarded.register(spendRoutes(parts))
        await guarded.register(gatewayRoutes(parts))
        await guarded.register(specRoutes(parts))
        await guarded.register(releaseRoutes(parts))
        await guarded.register(flagRoutes(parts))
        await guarded.register(qualityRoutes(parts))
        await guarded.register(statusRoutes(parts))
      },
      { prefix: '/api/v1' },
    )
  }
