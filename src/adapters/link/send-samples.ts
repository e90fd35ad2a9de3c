/** The controller as the reader of samples, over the line. */
import type { LiveSample } from '../../domain/serving/index.ts'
import type { Line } from './line.ts'
import { tell } from './link-client.ts'
import { samplesPath } from './sample-routes.ts'

/** Rejects when the controller is away, or does not take them. */
export const samplesOver =
  (line: Line) =>
  (samples: readonly LiveSample[]): Promise<void> =>
    tell(line, samplesPath, { samples })
