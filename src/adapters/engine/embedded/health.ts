/** The embedded engine's health and metrics. It listens before its weights are there, and while it ends. */
import { probeWith, prometheusAt, type LoadNames } from '../openai/index.ts'

const names: LoadNames = {
  running: [{ name: 'embedded:requests_running' }],
  waiting: [{ name: 'embedded:requests_waiting' }],
  kvUse: [{ name: 'embedded:kv_cache_usage_ratio' }],
  promptTokens: [{ name: 'embedded:prompt_tokens_total' }],
  generatedTokens: [{ name: 'embedded:generation_tokens_total' }],
}

export const probe = probeWith({
  ready: {
    path: '~/health',
    judge({ status }) {
      // One that ends is followed by another on the same socket.
      if (status === 503) return { state: 'loading' }
      return status < 500 ? null : { state: 'failed', why: `it answers ${status} to GET /health` }
    },
  },
  metrics: [prometheusAt('~/metrics', names)],
})
