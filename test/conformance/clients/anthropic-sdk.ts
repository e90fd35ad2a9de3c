/** `@anthropic-ai/sdk`: messages. */
import Anthropic from '@anthropic-ai/sdk'
import { problemOf, type Access, type Heard, type Question, type Speaker } from '../speaker.ts'

export function clientOf({ url, key }: Access): Anthropic {
  return new Anthropic({ baseURL: url, apiKey: key, maxRetries: 0 })
}

export const anthropicMessages: Speaker = {
  problem: problemOf,
  async ask(access, question) {
    return readMessage(await clientOf(access).messages.create(toMessages(access, question)))
  },
  async stream(access, question, { signal, onPiece } = {}) {
    let pieces = 0
    const stream = clientOf(access).messages.stream(
      toMessages(access, question),
      signal === undefined ? {} : { signal },
    )
    stream.on('text', () => {
      pieces++
      onPiece?.()
    })
    return { ...readMessage(await stream.finalMessage()), pieces }
  },
}

const defaultMaxTokens = 100

function toMessages({ model }: Access, question: Question): Anthropic.MessageCreateParamsNonStreaming {
  const { text, image, tools, force, results, schema, maxTokens } = question
  const [, type = '', data = ''] = /^data:([^;]+);base64,(.*)$/.exec(image ?? '') ?? []
  const content: Anthropic.ContentBlockParam[] = [
    { type: 'text', text },
    ...(image === undefined
      ? []
      : [
          {
            type: 'image' as const,
            // The test's own picture is one of these.
            source: { type: 'base64' as const, media_type: type as 'image/png', data },
          },
        ]),
  ]
  const earlier: Anthropic.MessageParam[] =
    results === undefined
      ? []
      : [
          // What this client heard, sent back.
          { role: 'assistant', content: results.of.native as Anthropic.ContentBlockParam[] },
          {
            role: 'user',
            content: results.outputs.map((output, index) => ({
              type: 'tool_result',
              tool_use_id: results.of.calls[index]?.id ?? '',
              content: output,
            })),
          },
        ]
  return {
    model,
    max_tokens: maxTokens ?? defaultMaxTokens,
    system: 'Be brief.',
    messages: [{ role: 'user', content }, ...earlier],
    ...(tools === undefined
      ? {}
      : {
          tools: tools.map(({ name, description, parameters }) => ({
            name,
            description,
            input_schema: { ...parameters, type: 'object' },
          })),
        }),
    ...(force === undefined ? {} : { tool_choice: { type: 'tool', name: force } }),
    ...(schema === undefined ? {} : { output_config: { format: { type: 'json_schema', schema: { ...schema } } } }),
  }
}

function readMessage({ content, stop_reason: stop, usage }: Anthropic.Message): Heard {
  const finishes: Record<string, Heard['finish']> = { end_turn: 'stop', tool_use: 'tools', max_tokens: 'length' }
  return {
    text: content.map(block => (block.type === 'text' ? block.text : '')).join(''),
    thought: content.map(block => (block.type === 'thinking' ? block.thinking : '')).join(''),
    calls: content.flatMap(block =>
      block.type === 'tool_use' ? [{ id: block.id, name: block.name, input: block.input }] : [],
    ),
    finish: finishes[stop ?? ''] ?? 'other',
    usage: { input: usage.input_tokens + (usage.cache_read_input_tokens ?? 0), output: usage.output_tokens },
    pieces: 0,
    native: content,
  }
}
