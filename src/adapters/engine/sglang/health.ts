/**
 * SGLang's health and metrics. Its `/health` has an idle engine make a token, so that it lists its models is taken for
 * readiness. Metrics want `--enable-metrics`.
 */
import { probeWith, prometheusAt, type LoadNames } from '../openai/index.ts'

/**
 * `prompt_tokens_total` and `generation_tokens_total` count when a request ends: a long answer would look like an engine
 * that hangs. The realtime ones move while it works. Each process of a tensor-parallel group tells the same.
 */
const names: LoadNames = {
  running: [{ name: 'sglang:num_running_reqs' }],
  waiting: [{ name: 'sglang:num_queue_reqs' }],
  kvUse: [{ name: 'sglang:token_usage' }],
  promptTokens: [{ name: 'sglang:realtime_tokens_total', labels: { mode: 'prefill_compute' } }],
  generatedTokens: [{ name: 'sglang:realtime_tokens_total', labels: { mode: 'decode' } }],
  sameWork: ['tp_rank', 'pp_rank', 'moe_ep_rank'],
}

export const probe = probeWith({ ready: null, metrics: [prometheusAt('~/metrics', names)] })
