/** `/api/v1/apply` and `/api/v1/diff`: what the spec's file says now, against what is served. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { FaultError } from '../../domain/fault.ts'
import { answers, InForce } from './schemas.ts'

const Change = z.object({
  what: z.enum(['model', 'version', 'replica', 'engine', 'team', 'gateway']),
  name: z.string(),
  change: z.enum(['added', 'removed', 'changed']),
  details: z.array(z.string()),
})
type Change = z.output<typeof Change>

const Applied = z.object({
  spec: z.string().nullable().describe('The file, where the controller runs; null: none.'),
  changes: z.array(Change),
  snapshot: z.string().describe('What is served now.'),
  inForce: InForce,
})
const Difference = Applied.pick({ spec: true, changes: true })

export type SpecAdmin = {
  path: string | null
  /** Throws FaultError `spec-refused`. */
  apply(): Promise<Omit<z.output<typeof Applied>, 'spec'>>
  /** Throws as `apply` does. */
  diff(): Promise<Change[]>
}

const Wanted = z.object({
  spec: z.string().optional().describe('The file that is meant; refused when the service serves from another.'),
})
const tags = ['spec']

export const specRoutes =
  ({ reload }: { reload: SpecAdmin }): FastifyPluginAsyncZod =>
  async app => {
    app.post('/apply', { schema: { tags, body: Wanted.nullish(), response: answers(200, Applied) } }, async request => {
      requireOwn(request.body?.spec)
      return { spec: reload.path, ...(await reload.apply()) }
    })

    app.get('/diff', { schema: { tags, querystring: Wanted, response: answers(200, Difference) } }, async request => {
      requireOwn(request.query.spec)
      return { spec: reload.path, changes: await reload.diff() }
    })

    function requireOwn(spec: string | undefined): void {
      if (spec === undefined || spec === reload.path) return
      const own = reload.path === null ? 'was started without a spec' : `serves from ${reload.path}`
      const problem = `This service ${own}. Write the change there, or start it with the other spec: holdfast up ${spec}`
      throw new FaultError({ kind: 'request-invalid', param: 'spec', problem })
    }
  }
