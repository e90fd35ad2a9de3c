/**
 * Samples: a few of the answers that clients got, with what was asked, for a judge to mark. Told once the answer is out; nothing is
 * asked again, and nobody waits.
 */
import { placeOf } from '../../domain/release/index.ts'
import { mayCopy, type LiveSample, type QualityRoute, type SampleTexts } from '../../domain/serving/index.ts'
import type { Exchange } from './exchange.ts'
import { openTee } from './tee.ts'

/** A sample on its way to the controller, not sealed yet. */
export type SampledAnswer = { sealFor: string; sample: Omit<LiveSample, 'sealed'>; texts: SampleTexts }

export type Samples = {
  /** Tells of the request's answer once it is out, if it is one of those. */
  watch(exchange: Exchange, quality: QualityRoute): void
}

/** Of a question and of its answer: what is longer is marked by nobody. As long as what shadow compares, which reads the same tee. */
const mostCharacters = 64 * 1024
const mostPromptBytes = 4 * mostCharacters

export function openSamples({
  mustShed,
  onSample,
}: {
  /** Memory is short. */
  mustShed: () => boolean
  onSample: (sampled: SampledAnswer) => void
}): Samples {
  return {
    watch(exchange, { share, sealFor, without }) {
      const { model, ask, principal, head } = exchange
      // Judges ask as administrators do; a mark would be marked in turn.
      if (model === null || ask === null || principal === null || principal.kind === 'admin') return
      if (principal.team !== null && without.includes(principal.team)) return
      if (placeOf(`mark of ${model.name}`, exchange.id) >= share || mustShed()) return
      // Before it is looked at: that would cost the longest the most.
      if ((head.declaredBytes ?? 0) > mostPromptBytes || !mayCopy(ask)) return
      const tee = openTee(mostCharacters)
      const { messages } = ask.body
      exchange.tee = tee
      // Named first, as in `relay.ts`: written straight into the property, it would be made old with all of the request.
      const sampleWhenEnded: Exchange['onEnded'] = outcome => {
        const answer = tee.text()
        const { version } = exchange
        if (outcome !== 'ok' || version === null || answer === null || mustShed()) return
        if (JSON.stringify(messages).length > mostCharacters) return
        const sample = { id: exchange.id, model: model.name, version: version.name }
        onSample({ sealFor, sample, texts: { messages, answer } })
      }
      exchange.onEnded = sampleWhenEnded
    },
  }
}
