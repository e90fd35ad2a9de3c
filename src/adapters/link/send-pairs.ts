/** The controller as the reader of shadow pairs, over the line. */
import type { ShadowPair } from '../../domain/serving/index.ts'
import type { ReleaseId } from '../../domain/units.ts'
import type { Line } from './line.ts'
import { tell } from './link-client.ts'
import { pairsPath } from './pair-routes.ts'

/** Rejects when the controller is away, or does not take them. */
export const pairsOver =
  (line: Line) =>
  (release: ReleaseId, pairs: readonly ShadowPair[]): Promise<void> =>
    tell(line, pairsPath, { release, pairs })
