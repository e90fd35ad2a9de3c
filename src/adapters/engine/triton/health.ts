/**
 * Triton's health and metrics. The OpenAI front end answers `/health/ready` with 400 while models load, and passes the core's
 * metrics on; a core that is reached otherwise has them on a port of its own, which a replica's `metrics` names.
 */
import { probeWith, prometheusAt, saysLoading, type LoadNames } from '../openai/index.ts'

const requests = 'nv_trt_llm_request_metrics'

/** The TensorRT-LLM backend's names, the vLLM backend's, and what the core has for every backend. */
const names: LoadNames = {
  running: [{ name: requests, labels: { request_type: 'scheduled' } }, { name: 'vllm:num_requests_running' }],
  waiting: [
    { name: requests, labels: { request_type: 'waiting' } },
    { name: 'vllm:num_requests_waiting' },
    { name: 'nv_inference_pending_request_count' },
  ],
  kvUse: [
    { name: 'nv_trt_llm_kv_cache_block_metrics', labels: { kv_cache_block_type: 'fraction' } },
    { name: 'vllm:kv_cache_usage_perc' },
    { name: 'vllm:gpu_cache_usage_perc' },
  ],
  promptTokens: [{ name: 'vllm:prompt_tokens_total' }],
  generatedTokens: [{ name: 'vllm:generation_tokens_total' }],
}

export const probe = probeWith({
  ready: {
    path: '~/health/ready',
    judge(answer) {
      if (answer.status === 400 || saysLoading(answer)) return { state: 'loading' }
      if (answer.status < 500) return null
      return { state: 'failed', why: `its core is not there (GET /health/ready answers ${answer.status}): restart it` }
    },
  },
  metrics: [prometheusAt('~/metrics', names)],
})
