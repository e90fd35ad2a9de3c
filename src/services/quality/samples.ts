/** Samples: what was asked and answered, sealed where it was answered and opened by the controller alone. */
import type { LiveSample, SampleTexts } from '../../domain/serving/index.ts'
import { openSealed, sealText } from '../shadow/index.ts'

/** Throws when `sealFor` is no public key. */
export function sealSample(sealFor: string, texts: SampleTexts, sample: Omit<LiveSample, 'sealed'>): LiveSample {
  return { ...sample, sealed: sealText(sealFor, JSON.stringify(texts), aboutOf(sample)) }
}

/** `null`: it was not sealed for this key, or as another sample. */
export function openSample(privateKey: string, sample: LiveSample): SampleTexts | null {
  const text = openSealed(privateKey, sample.sealed, aboutOf(sample))
  const texts: unknown = text === null ? null : JSON.parse(text)
  return isSampleTexts(texts) ? texts : null
}

const aboutOf = ({ id, model, version }: Omit<LiveSample, 'sealed'>): string =>
  JSON.stringify(['live answer', id, model, version])

function isSampleTexts(value: unknown): value is SampleTexts {
  if (typeof value !== 'object' || value === null) return false
  return 'messages' in value && Array.isArray(value.messages) && 'answer' in value && typeof value.answer === 'string'
}
