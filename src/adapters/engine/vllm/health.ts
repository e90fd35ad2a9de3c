/**
 * vLLM's health and metrics. `/health` is 503 when its engine process has died: while weights load nobody listens yet.
 * It does not notice a process that hangs; counters that stand still while it is busy tell that.
 */
import { probeWith, prometheusAt, saysLoading, type LoadNames } from '../openai/index.ts'

/** Newer names first: V0 engines call their KV cache a GPU cache, and older clients of Prometheus add no `_total`. */
const names: LoadNames = {
  running: [{ name: 'vllm:num_requests_running' }],
  waiting: [{ name: 'vllm:num_requests_waiting' }],
  kvUse: [{ name: 'vllm:kv_cache_usage_perc' }, { name: 'vllm:gpu_cache_usage_perc' }],
  promptTokens: [{ name: 'vllm:prompt_tokens_total' }, { name: 'vllm:prompt_tokens' }],
  generatedTokens: [{ name: 'vllm:generation_tokens_total' }, { name: 'vllm:generation_tokens' }],
}

export const probe = probeWith({
  ready: {
    path: '~/health',
    judge(answer) {
      if (saysLoading(answer)) return { state: 'loading' }
      if (answer.status < 500) return null
      const why = `its engine process has died (GET /health answers ${answer.status}): restart it`
      return { state: 'failed', why }
    },
  },
  metrics: [prometheusAt('~/metrics', names)],
})
