/** Marks in the controller: what samples are marked with, and what administration reads of it. */
import type { QualityAdmin } from '../adapters/admin-http/index.ts'
import type { Log } from '../adapters/log/index.ts'
import { readQuality, type QualityStore } from '../domain/quality/index.ts'
import type { LiveSample } from '../domain/serving/index.ts'
import { instant, modelName, type Instant, type ModelName } from '../domain/units.ts'
import type { Judge } from '../services/evaluate/index.ts'
import { openMarker, openSample } from '../services/quality/index.ts'
import type { DesiredSpec } from './desired.ts'

export type QualityWork = {
  admin: QualityAdmin
  /** Samples from gateways; returns at once. */
  takeSamples(samples: readonly LiveSample[]): void
  close(): Promise<void>
}

export type QualityWorkParts = {
  store: QualityStore
  /** The other half of the key that gateways seal samples for. */
  privateKey: string
  desired: () => DesiredSpec | null
  judgeOf: (model: ModelName) => Judge
  /** Resolves once the store has what was said until now, or soon after. */
  fresh: () => Promise<void>
  now: () => Instant
  log: Log
}

/** Of marks, and of thumbs: two weeks of ten models that are marked every minute are less. */
const mostRead = 250_000
const bothWeeksMs = 14 * 86_400_000

export function openQualityWork({
  store,
  privateKey,
  desired,
  judgeOf,
  fresh,
  now,
  log,
}: QualityWorkParts): QualityWork {
  const marker = openMarker({
    store,
    wishOf: model => {
      const wish = desired()?.spec.models.find(({ name }) => name === model)?.quality
      return wish === undefined ? null : { judge: modelName(wish.judge), perHour: wish.perHour }
    },
    open: sample => openSample(privateKey, sample),
    judgeOf,
    now,
    setTimer(afterMs, fire) {
      const timer = setTimeout(fire, afterMs)
      return () => clearTimeout(timer)
    },
    onProblem: (problem, cause) => log.warn({ err: cause }, problem),
  })

  return {
    takeSamples: marker.take,
    close: marker.close,
    admin: {
      async read({ model, sinceMs, by }) {
        await fresh()
        const at = now()
        const since = instant(at - sinceMs)
        const which = {
          ...(model === undefined ? {} : { model }),
          ...{ since: instant(Math.min(since, at - bothWeeksMs)), limit: mostRead },
        }
        const [marks, thumbs] = [await store.marks(which), await store.thumbs(which)]
        const models = readQuality({ marks, thumbs, now: at, since, by })
        return { since, models, cut: marks.length === mostRead || thumbs.length === mostRead }
      },
    },
  }
}
