/** vLLM's metrics, of now and of 2024. */
import type { Facts } from './dialect.ts'
import { counter, gauge, histogram, toSums } from './prometheus.ts'
import type { Metric } from './prometheus.ts'

const tokensPerBlock = 16
const blocks = 4574

export function vllmMetrics({ state }: Facts): Metric[] {
  const sums = toSums(state)
  return [
    gauge('vllm:num_requests_running', 'Number of requests in model execution batches.', state.running),
    gauge('vllm:num_requests_waiting', 'Number of requests waiting to be processed.', state.waiting),
    gauge('vllm:kv_cache_usage_perc', 'KV-cache usage. 1 means 100 percent usage.', Math.min(1, state.running / 100)),
    counter(
      'vllm:prefix_cache_queries_total',
      'Prefix cache queries, in terms of number of queried tokens.',
      state.promptTokens,
    ),
    counter(
      'vllm:prefix_cache_hits_total',
      'Prefix cache hits, in terms of number of cached tokens.',
      state.cachedTokens,
    ),
    counter('vllm:num_preemptions_total', 'Cumulative number of preemption from the engine.', 0),
    counter('vllm:prompt_tokens_total', 'Number of prefill tokens processed.', state.promptTokens),
    counter('vllm:generation_tokens_total', 'Number of generation tokens processed.', state.generationTokens),
    requestSuccess(state.stopped, state.cutByLength, state.aborted),
    histogram('vllm:time_to_first_token_seconds', 'Histogram of time to first token in seconds.', sums.firstToken),
    histogram('vllm:inter_token_latency_seconds', 'Histogram of inter-token latency in seconds.', sums.betweenTokens),
    histogram('vllm:e2e_request_latency_seconds', 'Histogram of e2e request latency in seconds.', sums.answer),
    histogram('vllm:request_prompt_tokens', 'Number of prefill tokens processed.', sums.promptTokens),
    histogram('vllm:request_generation_tokens', 'Number of generation tokens processed.', sums.generatedTokens),
    {
      name: 'vllm:cache_config_info',
      type: 'gauge',
      help: 'Information of the LLMEngine CacheConfig',
      values: [
        {
          labels: {
            block_size: String(tokensPerBlock),
            num_gpu_blocks: String(blocks),
            cache_dtype: 'auto',
            gpu_memory_utilization: '0.9',
            enable_prefix_caching: 'True',
          },
          value: 1,
        },
      ],
    },
  ]
}

/** As published in 2024, before the engine was rewritten. */
export function vllmOldMetrics({ state }: Facts): Metric[] {
  const sums = toSums(state)
  return [
    gauge('vllm:num_requests_running', 'Number of requests currently running on GPU.', state.running),
    gauge('vllm:num_requests_waiting', 'Number of requests waiting to be processed.', state.waiting),
    gauge('vllm:num_requests_swapped', 'Number of requests swapped to CPU.', 0),
    gauge(
      'vllm:gpu_cache_usage_perc',
      'GPU KV-cache usage. 1 means 100 percent usage.',
      Math.min(1, state.running / 100),
    ),
    gauge('vllm:cpu_cache_usage_perc', 'CPU KV-cache usage. 1 means 100 percent usage.', 0),
    counter('vllm:num_preemptions_total', 'Cumulative number of preemption from the engine.', 0),
    counter('vllm:prompt_tokens_total', 'Number of prefill tokens processed.', state.promptTokens),
    counter('vllm:generation_tokens_total', 'Number of generation tokens processed.', state.generationTokens),
    histogram('vllm:time_to_first_token_seconds', 'Histogram of time to first token in seconds.', sums.firstToken),
    histogram(
      'vllm:time_per_output_token_seconds',
      'Histogram of time per output token in seconds.',
      sums.betweenTokens,
    ),
    histogram('vllm:e2e_request_latency_seconds', 'Histogram of end to end request latency in seconds.', sums.answer),
    histogram('vllm:request_prompt_tokens', 'Number of prefill tokens processed.', sums.promptTokens),
    histogram('vllm:request_generation_tokens', 'Number of generation tokens processed.', sums.generatedTokens),
    requestSuccess(state.stopped, state.cutByLength, state.aborted),
  ]
}

const requestSuccess = (stop: number, length: number, abort: number): Metric => ({
  name: 'vllm:request_success_total',
  type: 'counter',
  help: 'Count of successfully processed requests.',
  values: Object.entries({ stop, length, abort }).map(([reason, value]) => ({
    labels: { finished_reason: reason },
    value,
  })),
})
