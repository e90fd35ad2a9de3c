/** llama-server's `/props`, `/slots` and `/metrics`, with the fields of the real ones in their order. */
import type { Facts, Reply } from './dialect.ts'
import { counter, gauge, renderMetrics } from './prometheus.ts'

const slots = 4
const contextPerSlot = 512

// Floats of 32 bits, as the real program prints them; `0.0` is told as `0` here, which is the same number.
const sampling = {
  'seed': 4_294_967_295,
  'temperature': 0.800000011920929,
  'dynatemp_range': 0,
  'dynatemp_exponent': 1,
  'top_k': 40,
  'top_p': 0.949999988079071,
  'min_p': 0.05000000074505806,
  'top_n_sigma': -1,
  'xtc_probability': 0,
  'xtc_threshold': 0.10000000149011612,
  'typical_p': 1,
  'repeat_last_n': 64,
  'repeat_penalty': 1,
  'presence_penalty': 0,
  'frequency_penalty': 0,
  'dry_multiplier': 0,
  'dry_base': 1.75,
  'dry_allowed_length': 2,
  'dry_penalty_last_n': 64,
  'mirostat': 0,
  'mirostat_tau': 5,
  'mirostat_eta': 0.10000000149011612,
  'adaptive_target': -1,
  'adaptive_decay': 0.8999999761581421,
  'max_tokens': -1,
  'n_predict': -1,
  'n_keep': 0,
  'n_discard': 0,
  'ignore_eos': false,
  'stream': false,
  'n_probs': 0,
  'min_keep': 0,
  'chat_format': 'Content-only',
  'reasoning_format': 'none',
  'reasoning_in_content': false,
  'generation_prompt': '',
  'samplers': ['penalties', 'dry', 'top_n_sigma', 'top_k', 'typ_p', 'top_p', 'min_p', 'xtc', 'temperature'],
  'speculative.types': 'none',
  'timings_per_token': false,
  'post_sampling_probs': false,
  'backend_sampling': false,
  'lora': [],
}

/** ChatML, as in the recorded model. */
const template =
  "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}" +
  "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"

export const llamaProps = ({ model, behaviour }: Facts): Reply => ({
  status: 200,
  body: {
    default_generation_settings: { params: sampling, n_ctx: behaviour.contextLimit ?? contextPerSlot },
    total_slots: behaviour.maxConcurrent ?? slots,
    model_alias: model,
    model_ftype: 'Q8_0',
    model_path: `${model}.gguf`,
    modalities: { vision: !behaviour.noVision, video: false, audio: false },
    media_marker: '<__media_fake__>',
    endpoint_slots: true,
    endpoint_props: false,
    endpoint_metrics: !behaviour.noMetrics,
    ui: true,
    ui_settings: {},
    chat_template: template,
    chat_template_caps: {
      supports_object_arguments: false,
      supports_parallel_tool_calls: false,
      supports_preserve_reasoning: false,
      supports_reasoning_effort: false,
      supports_string_content: true,
      supports_system_role: true,
      supports_tool_calls: false,
      supports_tools: false,
      supports_typed_content: false,
    },
    bos_token: '<s>',
    eos_token: '<|im_end|>',
    build_info: 'b1-de3ff81',
    is_sleeping: false,
    cors_proxy_enabled: false,
  },
})

export const llamaSlots = ({ state, behaviour }: Facts): Reply => ({
  status: 200,
  body: Array.from({ length: behaviour.maxConcurrent ?? slots }, (_, id) => {
    const isBusy = id < state.running
    const slot = { id, n_ctx: behaviour.contextLimit ?? contextPerSlot, speculative: false, is_processing: isBusy }
    if (!isBusy) return slot
    return {
      ...slot,
      id_task: state.received - state.running + id,
      // A token at least: how many each holds, the ledger does not tell.
      n_prompt_tokens: 1,
      n_prompt_tokens_processed: 0,
      n_prompt_tokens_cache: 0,
      params: sampling,
      next_token: [{ has_next_token: true, has_new_line: false, n_remain: -1, n_decoded: 0 }],
    }
  }),
})

export function llamaMetrics({ state, started }: Facts): Reply {
  const processed = state.promptTokens - state.cachedTokens
  const promptSeconds = state.firstTokenMs / 1000
  const predictedSeconds = state.generationMs / 1000
  const speed = (tokens: number, seconds: number): number => (seconds === 0 ? 0 : tokens / seconds)
  const metrics = [
    counter('prompt_tokens_total', 'Number of prompt tokens processed, excluding cached tokens', processed),
    counter('prompt_tokens_cached_total', 'Number of prompt tokens reused from the cache', state.cachedTokens),
    counter('prompt_seconds_total', 'Total time spent processing prompts', promptSeconds),
    counter('tokens_predicted_total', 'Number of generation tokens processed', state.generationTokens),
    counter('tokens_predicted_seconds_total', 'Total time spent generating tokens', predictedSeconds),
    counter(
      'n_decode_total',
      'Total number of llama_decode() calls, excluding speculative decoding and multimodal decoding',
      state.generationTokens,
    ),
    counter('n_tokens_max', 'Largest observed sequence length (prompt + generation)', state.longestSequence),
    counter('spec_decode_num_draft_tokens_total', 'Speculative: Total draft tokens generated', 0),
    counter('spec_decode_num_accepted_tokens_total', 'Speculative: Total draft tokens accepted by the target model', 0),
    counter('spec_decode_num_drafts_total', 'Speculative: Total speculative decoding verification steps', 0),
    gauge('prompt_tokens_seconds', 'Average prompt throughput in tokens/s', speed(processed, promptSeconds)),
    gauge(
      'predicted_tokens_seconds',
      'Average generation throughput in tokens/s',
      speed(state.generationTokens, predictedSeconds),
    ),
    gauge('requests_processing', 'Number of requests processing', state.running),
    gauge('requests_deferred', 'Number of requests deferred', state.waiting),
    gauge(
      'n_busy_slots_per_decode',
      'Average number of busy slots per llama_decode() call',
      state.generationTokens === 0 ? 0 : 1,
    ),
  ].map(metric => ({ ...metric, name: `llamacpp:${metric.name}` }))
  return {
    status: 200,
    body: renderMetrics(metrics, {}, 'plain'),
    type: 'text/plain; version=0.0.4',
    headers: { 'process-start-time-unix': String(started) },
  }
}
