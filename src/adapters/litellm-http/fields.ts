/** Fields as LiteLLM's scripts send them. They send what they once got, so null and '' stand for left out. */
import { z } from 'zod'
import { parseDuration } from '../../domain/access/index.ts'
import { FaultError } from '../../domain/fault.ts'
import { millis, modelName } from '../../domain/units.ts'
import type { Millis, ModelName } from '../../domain/units.ts'

export const tags = ['LiteLLM']

export const text = z
  .string()
  .nullish()
  .transform(value => value || null)

export const names = z.array(z.string().min(1).max(512)).max(1000).nullish()

/** Keys, teams or users that a call is about. */
export const refs = names.transform(value => value ?? [])

export const metadata = z
  .record(z.string(), z.unknown())
  .nullish()
  .refine(value => JSON.stringify(value ?? null).length <= 16_384, 'Metadata may have 16384 characters as JSON.')

export const flag = z.boolean().nullish()

/** In a query string. */
export const queryFlag = z.enum(['true', 'false', 'True', 'False', '1', '0', '']).optional()
export const isSet = (value: z.output<typeof queryFlag>): boolean =>
  value !== undefined && ['true', 'True', '1'].includes(value)

export const page = z.coerce.number().int().min(1).default(1)
export const pageSize = (usual: number) => z.coerce.number().int().min(1).max(1000).default(usual)

/** One page of a list, and how LiteLLM tells of the others. */
export function cutPage<T>(all: readonly T[], at: { page: number; size: number }) {
  const items = all.slice((at.page - 1) * at.size, at.page * at.size)
  return { items, total: all.length, pages: Math.ceil(all.length / at.size) }
}

/** `field`: what a refusal names. `-1` is LiteLLM's word for never. */
export function toLength(duration: string, field = 'duration'): Millis {
  const length = parseDuration(duration)
  if (length !== null) return length
  throw new FaultError({
    kind: 'request-invalid',
    param: field,
    problem: 'A duration is a count and a unit: 30s, 30m, 30h, 30d.',
  })
}

/** When a key ends, from LiteLLM's `duration`. */
export const toEnd = (duration: string): { in: Millis } | null =>
  duration === '-1' ? null : { in: toLength(duration) }

export const noGrace = millis(0)

/** In LiteLLM an empty list is every model, and three names mean more than a model. */
export function toModels(models: readonly string[], hasTeam: boolean): ModelName[] | null {
  if (models.length === 0 || models.includes('all-team-models')) return null
  if (models.includes('no-default-models')) return []
  if (!models.includes('all-proxy-models')) return [...new Set(models)].map(modelName)
  if (!hasTeam) return null
  throw new FaultError({
    kind: 'unsupported',
    what: "'all-proxy-models' for a key in a team",
    instead: 'A key never gets more than its team: leave models out.',
  })
}

/** The way back: LiteLLM's empty list is every model, so none at all has a word. */
export function fromModels(models: readonly ModelName[] | null): string[] {
  if (models === null) return []
  return models.length === 0 ? ['no-default-models'] : [...models]
}
