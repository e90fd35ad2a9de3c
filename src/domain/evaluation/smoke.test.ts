import { describe, expect, test } from 'vitest'
import type { GivenAnswer } from './answer.ts'
import { judgeSmoke, smokePrompts, type SmokeAnswer, type SmokePrompt } from './smoke.ts'

const rightTexts: Record<string, string> = {
  ...{ paris: 'Paris.', sum: 'It is 5.', echo: 'ready', berlin: 'Berlin', order: '12', opposite: 'cold' },
  ...{ colour: 'blue', days: 'seven', json: '{"city":"Paris","country":"France"}' },
}
const call = { id: 'c', type: 'function' as const, function: { name: 'get_weather', arguments: '{"city":"Paris"}' } }

function right({ name }: SmokePrompt): GivenAnswer {
  const isCall = name === 'tool call'
  return {
    ...{ text: rightTexts[name] ?? '', toolCalls: isCall ? [call] : [], finish: isCall ? 'tool_calls' : 'stop' },
    ...{ tokens: null, latencyMs: 1, version: null },
  }
}

type Change = (answer: GivenAnswer, prompt: SmokePrompt) => GivenAnswer | string
const apply = (change: Change, prompt: SmokePrompt): SmokeAnswer => {
  const changed = change(right(prompt), prompt)
  return typeof changed === 'string' ? { answer: null, why: changed } : { answer: changed }
}
const asIs: Change = answer => answer

/** Names of the checks that failed. */
function failed(candidate: Change, live: Change = asIs): string[] {
  const rounds = smokePrompts(8).map(prompt => ({
    prompt,
    ...{ live: apply(live, prompt), candidate: apply(candidate, prompt) },
  }))
  return judgeSmoke(rounds).flatMap(({ name, passed }) => (passed ? [] : [name]))
}

const isPlain = ({ tools, schema }: SmokePrompt): boolean => tools === undefined && schema === undefined
const text =
  (change: (text: string) => string): Change =>
  (answer, prompt) =>
    isPlain(prompt) ? { ...answer, text: change(answer.text) } : answer

describe('a candidate', () => {
  test('that answers as the live version does passes', () => {
    expect(failed(asIs)).toEqual([])
  })

  test.each<[string, Change, string[]]>([
    ['that answers nothing', () => 'HTTP 500', ['answers', 'right answers', 'end of turn', 'tool call', 'json']],
    ['that is silent', text(() => '  \n'), ['answers', 'right answers']],
    ['that speaks nonsense', text(() => 'blue blue blu blu'), ['right answers']],
    ['that never stops', answer => ({ ...answer, finish: 'length' }), ['end of turn']],
    [
      'that calls no tool any more',
      (answer, { name }) => ({ ...answer, ...(name === 'tool call' ? { toolCalls: [], text: 'Sunny.' } : {}) }),
      ['tool call'],
    ],
    [
      'whose tool calls are cut',
      answer => ({
        ...answer,
        toolCalls: answer.toolCalls.map(each => ({ ...each, function: { ...each.function, arguments: '{"ci' } })),
      }),
      ['tool call'],
    ],
    [
      'that speaks of JSON instead of it',
      (answer, { name }) => ({ ...answer, ...(name === 'json' ? { text: 'Sure! {"city"' } : {}) }),
      ['json'],
    ],
    ['that fails one question', (answer, { name }) => (name === 'sum' ? 'timed out' : answer), ['answers']],
  ])('%s fails just that', (_, damage, checks) => {
    expect(failed(damage)).toEqual(checks)
  })

  test.each([
    '<|im_end|>',
    '<|eot_id|>',
    '<|start_header_id|>',
    '</s>',
    '<s>',
    '[INST]',
    '[/INST]',
    '<<SYS>>',
    '<start_of_turn>',
    '<end_of_turn>',
    '<｜end▁of▁sentence｜>',
  ])('whose answers leak %s has the wrong chat template', token => {
    expect(failed(text(said => `${said}${token}`))).toEqual(['chat template'])
  })

  test('may write what only looks like it', () => {
    expect(failed(text(said => `${said} if (a < b | c > d) <b>bold</b> [1] <||>`))).toEqual([])
  })

  test('needs half of what the live version knows, and not what that does not know either', () => {
    const wrongIn =
      (...names: string[]): Change =>
      (answer, { name }) =>
        names.includes(name) ? { ...answer, text: 'hm' } : answer
    const half = ['paris', 'sum', 'echo', 'berlin']
    expect(failed(wrongIn(...half))).toEqual([])
    expect(failed(wrongIn(...half, 'order'))).toEqual(['right answers'])
    expect(
      failed(
        text(() => 'hm'),
        text(() => 'hm'),
      ),
    ).toEqual([])
  })

  test('is not asked for what the live version can’t do: tools, JSON, stopping by itself', () => {
    const poor: Change = (answer, prompt) => (isPlain(prompt) ? { ...answer, finish: 'length' } : 'HTTP 501')
    expect(failed(poor, poor)).toEqual(['old version'])
    const unable: Change = (answer, prompt) =>
      isPlain(prompt) ? { ...answer, finish: 'length' } : { ...answer, text: 'no', toolCalls: [] }
    expect(failed(unable, unable)).toEqual([])
  })

  test('does not pass beside a live version that fell silent', () => {
    expect(failed(asIs, () => 'HTTP 502')).toEqual(['old version'])
  })
})

test('every question is told apart by its answer: a model that says the same to all of them knows none', () => {
  for (const said of ['Paris', '5', 'ready', 'Berlin', '12', 'cold', 'blue', '7'])
    expect(
      smokePrompts(8).filter(prompt => isPlain(prompt) && prompt.isRight({ ...right(prompt), text: said })),
    ).toHaveLength(1)
})

test('at least one question is asked, and more than are known are asked again', () => {
  expect(smokePrompts(0).filter(isPlain)).toHaveLength(1)
  expect(smokePrompts(11).filter(isPlain)).toHaveLength(11)
})
