/** Quality of live traffic: a judge's marks by version and day, people's thumbs, and whether they change. Start at `readQuality`. */
export type { LiveMark, MarkJudge, QualityAsk, QualityStore, Thumb } from './ports.ts'
export { readQuality } from './read-quality.ts'
export type { ModelQuality, QualityRow, QualityTrend } from './read-quality.ts'
