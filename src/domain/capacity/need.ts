/** What one replica needs where it would run. */
import type { NeedReading, Place, Workload } from './fleet.ts'
import { needLlama } from './need-llama.ts'
import { needPaged } from './need-paged.ts'

const llamaKinds = ['llama-cpp', 'ollama', 'embedded']

export const isLlama = ({ engine }: Workload): boolean => llamaKinds.includes(engine.kind)

/** Whether it can run without a card. */
export const runsOnCpu = (workload: Workload): boolean => isLlama(workload)

/** Engines that take a share of whatever is free when they start; nobody holds them back. */
export const takesWhatIsFree = ({ engine }: Workload): boolean => ['tensorrt-llm', 'triton'].includes(engine.kind)

export function needOf(workload: Workload, place: Place): NeedReading {
  const { facts } = workload
  if (facts === null)
    return {
      ok: false,
      why: 'nothing is known of its weights: its name tells no size, and its files are not here',
    }
  return isLlama(workload) ? needLlama(workload, facts, place) : needPaged(workload, facts, place)
}
