/** The paths that a model answers, and whose dialect each speaks. */
import type { Surface } from '../../domain/dialect/index.ts'
import type { ModelPath } from '../../domain/serving/index.ts'
import type { RequestHeaders } from './plain-head.ts'

const belowV1: readonly ModelPath[] = [
  'chat/completions',
  'completions',
  'embeddings',
  'responses',
  'messages',
  'messages/count_tokens',
  'rerank',
  'tokenize',
  'audio/transcriptions',
  'audio/speech',
]

/** Each also without the /v1, as clients send it whose base URL lacks it. */
export const modelPaths: ReadonlyMap<string, ModelPath> = new Map<string, ModelPath>([
  ...belowV1.flatMap((path): [string, ModelPath][] => [
    [`/v1/${path}`, path],
    [`/${path}`, path],
  ]),
  ['/v2/rerank', 'rerank'],
])

const surfaces: { readonly [P in ModelPath]?: Surface } = {
  'messages': 'anthropic',
  'messages/count_tokens': 'anthropic',
  'responses': 'responses',
}

export const surfaceOfModel = (path: ModelPath): Surface => surfaces[path] ?? 'openai'

/** Anthropic's clients name the version of their API on every request, and have a route that is theirs alone. */
export function surfaceOf(url: string, headers: RequestHeaders): Surface {
  if (/^(\/v1)?\/messages(?![^/?])/.test(url)) return 'anthropic'
  return headers['anthropic-version'] === undefined ? 'openai' : 'anthropic'
}
