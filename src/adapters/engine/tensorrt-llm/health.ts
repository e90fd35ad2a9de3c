/**
 * trtllm-serve's health and metrics. Prometheus text is there when it was started with `return_perf_metrics`; else there are
 * statistics of its last iterations in JSON, which each reader takes away from the next. Neither counts tokens while
 * they are made.
 */
import type { EngineLoad } from '../../../domain/serving/index.ts'
import { asNumber, field, parseJson, probeWith, prometheusAt, saysLoading, type LoadNames } from '../openai/index.ts'

const names: LoadNames = {
  running: [{ name: 'trtllm_num_requests_running' }],
  waiting: [{ name: 'trtllm_num_requests_waiting' }],
  kvUse: [{ name: 'trtllm_kv_cache_utilization' }],
  promptTokens: [],
  generatedTokens: [],
}

export const probe = probeWith({
  ready: {
    path: '~/health',
    judge(answer) {
      if (saysLoading(answer)) return { state: 'loading' }
      if (answer.status < 500) return null
      return { state: 'failed', why: `its executor has stopped (GET /health answers ${answer.status}): restart it` }
    },
  },
  metrics: [prometheusAt('~/prometheus/metrics', names), { path: '~/metrics', read: readIterations }],
})

/** The newest iteration. An idle engine has made none since it was last asked: then this says nothing. */
function readIterations(text: string): EngineLoad | null {
  const iterations = parseJson(text)
  const newest: unknown = Array.isArray(iterations) ? iterations.at(-1) : undefined
  const [running, waiting] = [
    asNumber(field(newest, 'numActiveRequests')),
    asNumber(field(newest, 'numQueuedRequests')),
  ]
  if (running === null && waiting === null) return null
  const blocks = field(newest, 'kvCacheStats')
  const used = asNumber(field(blocks, 'usedNumBlocks'))
  const free = asNumber(field(blocks, 'freeNumBlocks'))
  const kvUse = used === null || free === null || used + free <= 0 ? null : used / (used + free)
  return { running, waiting, kvUse, promptTokens: null, generatedTokens: null }
}
