/** What is kept of live traffic's quality: a judge's marks and people's thumbs, no text. */
import type { ControlResult } from '../evaluation/index.ts'
import type { Instant, ModelName, RequestId, VersionName } from '../units.ts'

/** One answer that a judge was shown. Where, by whom and with what: never its words. */
export type LiveMark = {
  request: RequestId
  at: Instant
  model: ModelName
  version: VersionName
  judge: MarkJudge
  /** 1 to 10; `null`: what the judge said could not be read. */
  mark: number | null
  /** Answers of the judge, and those of them that could not be read. */
  calls: number
  unparsable: number
  /** The question with a known answer that was put to it beside this one. */
  control: ControlResult | null
}

/** Another judge, digest or prompt is another series. */
export type MarkJudge = { name: string; digest: string | null; prompt: string }

export type Thumb = { at: Instant; model: ModelName; version: VersionName; score: number }

export type QualityAsk = { model?: ModelName; since: Instant; limit: number }

/** One contract suite runs over every adapter. */
export interface QualityStore {
  /** Once for each request: another mark for it is dropped. */
  add(mark: LiveMark): Promise<void>
  /** Newest first. */
  marks(ask: QualityAsk): Promise<LiveMark[]>
  /** The last word of each key on answers whose version is known, newest first. */
  thumbs(ask: QualityAsk): Promise<Thumb[]>
}
