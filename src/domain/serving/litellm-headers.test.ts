import { expect, test } from 'vitest'
import { millis, modelName, requestId, versionName } from '../units.ts'
import { liteLlmHeaders } from './litellm-headers.ts'

const whole = {
  callId: requestId('019b'),
  modelId: versionName('production-v1.0-coder-32b-awq-p0'),
  modelGroup: modelName('coder'),
  attemptedRetries: 1,
  responseDuration: millis(1234.567_89),
}

test('a whole answer says by what, after how many tries and in what time', () => {
  expect(liteLlmHeaders(whole)).toEqual({
    'x-litellm-call-id': '019b',
    'x-litellm-model-id': 'production-v1.0-coder-32b-awq-p0',
    'x-litellm-model-group': 'coder',
    'x-litellm-attempted-retries': '1',
    'x-litellm-response-duration-ms': '1234.568',
  })
})

test('what is not known has no header', () => {
  const refused = {
    ...whole,
    modelId: null,
    modelGroup: null,
    attemptedRetries: 0,
    responseDuration: null,
  }
  expect(Object.keys(liteLlmHeaders(refused))).toEqual(['x-litellm-call-id', 'x-litellm-attempted-retries'])
})
