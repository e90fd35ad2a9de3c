import { describe, expect, test } from 'vitest'
import { openTemplate } from './template.ts'

/** As Qwen's, cut to what matters. */
const tagged = openTemplate(
  `{%- if tools %}<|im_start|>system
{%- if messages[0].role == 'system' %}{{ messages[0].content + '\\n' }}{% endif %}
Call with <tool_call></tool_call>: {% for tool in tools %}{{ tool | tojson }}{% endfor %}<|im_end|>
{% elif messages[0].role == 'system' %}<|im_start|>system
{{ messages[0].content }}<|im_end|>
{% endif %}{% for message in messages %}{% if message.role != 'system' %}<|im_start|>{{ message.role }}
{% if message.role == 'assistant' and loop.last %}<think>

</think>

{% endif %}{{ message.content }}<|im_end|>
{% endif %}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}`,
)
const plain = openTemplate(
  `{% for message in messages %}<|im_start|>{{ message.role }}
{{ message.content }}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}`,
)
const user = { role: 'user', text: 'Hi' } as const
const tools = [{ type: 'function', function: { name: 'get', parameters: { type: 'object' } } }]
const none = { tools: [], settings: {} }

describe('a template that knows tools and thought', () => {
  test('says so', () => {
    expect([tagged.knowsTools, tagged.thinks, tagged.calls]).toEqual([true, true, 'tagged'])
    expect([plain.knowsTools, plain.thinks, plain.calls]).toEqual([false, false, 'json'])
  })

  test('tells the tools in its own way, and forgets them', () => {
    const told = tagged.render([user], { tools, settings: {} }).toString()
    expect(told).toContain('{"type": "function", "function": {"name": "get"')
    expect(tagged.render([user], none).toString()).not.toContain('get')
  })

  test('leaves the model to think, unless it is told not to', () => {
    expect(tagged.render([user], none).toString()).toMatch(/<\|im_start\|>assistant\n$/)
    const quick = tagged.render([user], { tools: [], settings: { enable_thinking: false } }).toString()
    expect(quick).toMatch(/<think>\s*<\/think>\s*$/)
  })
})

test('a template without either is rendered as it is', () => {
  expect(plain.render([user], { tools, settings: {} }).toString()).toBe(
    '<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n',
  )
})
