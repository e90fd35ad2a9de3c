/** What is counted of releases: only requests of models that are in one cost anything. */
import { Counter, Gauge, type Registry } from 'prom-client'
import type { CloseRecord } from '../../domain/journal/index.ts'
import type { ModelName } from '../../domain/units.ts'
import type { ShadowOutcome } from '../../services/serve/index.ts'

/** Read at each scrape. */
export type ReleaseNumbers = () => { model: string; candidate: string; share: number }[]

export type ReleaseSeries = {
  finished(record: CloseRecord): void
  shadow(model: ModelName, outcome: ShadowOutcome): void
}

export function openReleaseSeries(registry: Registry, numbers: ReleaseNumbers): ReleaseSeries {
  const registers = [registry]
  void new Gauge({
    name: 'holdfast_release_share',
    help: 'Part of a model’s requests that the candidate of its release answers, 0 to 1.',
    labelNames: ['model', 'candidate'],
    registers,
    collect() {
      this.reset()
      for (const { model, candidate, share } of numbers()) this.set({ model, candidate }, share)
    },
  })
  const requests = new Counter({
    name: 'holdfast_release_requests_total',
    help: 'Requests of models in release, by the arm they were assigned and its version; `fell-back`: another version answered.',
    labelNames: ['model', 'version', 'arm', 'outcome'],
    registers,
  })
  const copies = new Counter({
    name: 'holdfast_shadow_total',
    help: 'Copies of requests for the candidate, by what became of them.',
    labelNames: ['model', 'outcome'],
    registers,
  })
  return {
    finished({ model, version, outcome, release }) {
      if (release === undefined) return
      const fellBack = outcome === 'ok' && version !== release.version
      requests.inc({
        model: model ?? '',
        version: release.version,
        arm: release.arm,
        outcome: fellBack ? 'fell-back' : outcome,
      })
    },
    shadow: (model, outcome) => copies.inc({ model, outcome }),
  }
}
