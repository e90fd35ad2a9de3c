/** Engines: the dialects Holdfast speaks and the wire they are spoken over. */
import type { EngineKind } from '../../domain/serving/index.ts'
import type { EngineDialect } from '../../services/serve/index.ts'
import { embedded } from './embedded/index.ts'
import { openai } from './openai/index.ts'

export { openWire } from './wire.ts'

/** Kinds without a folder of their own yet are OpenAI-compatible, which is what their replicas are asked for. */
export function dialectOf(kind: EngineKind): EngineDialect {
  return kind === 'embedded' ? embedded : openai
}
