/** TGI's health and metrics. `/health` asks its model server whether it can allocate; it is 503 once that has failed. */
import { probeWith, prometheusAt, saysLoading, type LoadNames } from '../openai/index.ts'

/** It counts tokens only when a request ends, which says nothing about progress, and does not tell its KV cache. */
const names: LoadNames = {
  running: [{ name: 'tgi_batch_current_size' }],
  waiting: [{ name: 'tgi_queue_size' }],
  kvUse: [],
  promptTokens: [],
  generatedTokens: [],
}

export const probe = probeWith({
  ready: {
    path: '~/health',
    judge(answer) {
      if (saysLoading(answer)) return { state: 'loading' }
      if (answer.status < 500) return null
      return { state: 'failed', why: `its model server has failed (GET /health answers ${answer.status}): restart it` }
    },
  },
  metrics: [prometheusAt('~/metrics', names)],
})
