/** Everything that LiteLLM's scripts may call, behind one guard: a key that works, or the admin key. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { currencyIn } from '../../domain/serving/index.ts'
import type { Access, Identify } from '../../services/access/index.ts'
import { identifyCaller, requireAdmin } from './caller.ts'
import { elsewhereRoutes } from './elsewhere.ts'
import { keyListRoutes, ownKeyRoutes } from './key-lists.ts'
import { keyRoutes } from './key-routes.ts'
import type { KeyRouteParts } from './key-routes.ts'
import { modelRoutes } from './model-routes.ts'
import type { ModelRouteParts } from './model-routes.ts'
import { spendRoutes } from './spend-routes.ts'
import type { SpendRouteParts } from './spend-routes.ts'
import { teamRoutes } from './team-routes.ts'
import { userRoutes } from './user-routes.ts'
import type { UserRouteParts } from './user-routes.ts'

export type LiteLlmParts = Access & {
  store: KeyRouteParts['store'] & ModelRouteParts['store'] & SpendRouteParts['store'] & UserRouteParts['store']
  requests: SpendRouteParts['requests']
  snapshot: ModelRouteParts['snapshot']
  identify: Identify
  now: KeyRouteParts['now']
}

export const liteLlmRoutes =
  (asked: LiteLlmParts): FastifyPluginAsyncZod =>
  async app => {
    const parts = { ...asked, currency: () => currencyIn(asked.snapshot()) }
    // Before the body is read: strangers can't make the controller hold megabytes.
    app.addHook('onRequest', identifyCaller(parts.identify))
    await app.register(ownKeyRoutes(parts))
    await app.register(modelRoutes(parts))
    await app.register(async admin => {
      admin.addHook('onRequest', requireAdmin)
      await admin.register(keyRoutes(parts))
      await admin.register(keyListRoutes(parts))
      await admin.register(teamRoutes(parts))
      await admin.register(userRoutes(parts))
      await admin.register(spendRoutes(parts))
    })
    await app.register(elsewhereRoutes)
  }
