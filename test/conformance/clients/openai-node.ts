/** `openai` for Node: chat completions and responses. */
import OpenAI from 'openai'
import {
  fieldOf,
  parseInput,
  problemOf,
  textOf,
  type Access,
  type Heard,
  type Question,
  type Speaker,
} from '../speaker.ts'

export function clientOf({ url, key }: Access): OpenAI {
  return new OpenAI({ baseURL: `${url}/v1`, apiKey: key, maxRetries: 0 })
}

export const openaiChat: Speaker = {
  problem: problemOf,
  async ask(access, question) {
    return readChat(await clientOf(access).chat.completions.create(toChat(access, question)))
  },
  async stream(access, question, { signal, onPiece } = {}) {
    let pieces = 0
    let thought = ''
    const asked = { ...toChat(access, question), stream_options: { include_usage: true } }
    const stream = clientOf(access).chat.completions.stream(asked, signal === undefined ? {} : { signal })
    stream.on('content.delta', () => {
      pieces++
      onPiece?.()
    })
    stream.on('chunk', ({ choices }) => {
      thought += textOf(fieldOf(choices[0]?.delta, 'reasoning_content'))
    })
    // The helper keeps only what OpenAI has a name for.
    return { ...readChat(await stream.finalChatCompletion()), thought, pieces }
  },
}

type ChatAsk = Omit<OpenAI.ChatCompletionCreateParamsNonStreaming, 'stream'>
type ResponseAsk = Omit<OpenAI.Responses.ResponseCreateParamsNonStreaming, 'stream'>

function toChat({ model }: Access, question: Question): ChatAsk {
  const { text, image, tools, force, results, schema, maxTokens } = question
  const content: OpenAI.ChatCompletionUserMessageParam['content'] =
    image === undefined
      ? text
      : [
          { type: 'text', text },
          { type: 'image_url', image_url: { url: image } },
        ]
  const earlier =
    results === undefined
      ? []
      : [
          // What this client heard, sent back.
          results.of.native as OpenAI.ChatCompletionMessage,
          ...results.outputs.map((output, index) => ({
            role: 'tool' as const,
            tool_call_id: results.of.calls[index]?.id ?? '',
            content: output,
          })),
        ]
  return {
    model,
    temperature: 0,
    messages: [{ role: 'developer', content: 'Be brief.' }, { role: 'user', content }, ...earlier],
    ...(tools === undefined ? {} : { tools: tools.map(tool => ({ type: 'function', function: { ...tool } })) }),
    ...(force === undefined ? {} : { tool_choice: { type: 'function', function: { name: force } } }),
    ...(schema === undefined
      ? {}
      : { response_format: { type: 'json_schema', json_schema: { name: 'answer', strict: true, schema } } }),
    ...(maxTokens === undefined ? {} : { max_completion_tokens: maxTokens }),
  }
}

function readChat({ choices, usage }: OpenAI.ChatCompletion): Heard {
  const [choice] = choices
  if (choice === undefined) throw new Error('an answer without choices')
  const calls = (choice.message.tool_calls ?? []).flatMap(call =>
    call.type === 'function'
      ? [{ id: call.id, name: call.function.name, input: parseInput(call.function.arguments) }]
      : [],
  )
  const finishes: Record<string, Heard['finish']> = { stop: 'stop', tool_calls: 'tools', length: 'length' }
  return {
    text: choice.message.content ?? '',
    thought: textOf(fieldOf(choice.message, 'reasoning_content')),
    calls,
    finish: finishes[choice.finish_reason] ?? 'other',
    usage: usage === undefined ? null : { input: usage.prompt_tokens, output: usage.completion_tokens },
    pieces: 0,
    native: choice.message,
  }
}

export const openaiResponses: Speaker = {
  problem: problemOf,
  async ask(access, question) {
    return readResponse(await clientOf(access).responses.create(toResponse(access, question)))
  },
  async stream(access, question, { signal, onPiece } = {}) {
    let pieces = 0
    const stream = clientOf(access).responses.stream(
      toResponse(access, question),
      signal === undefined ? {} : { signal },
    )
    stream.on('response.output_text.delta', () => {
      pieces++
      onPiece?.()
    })
    return { ...readResponse(await stream.finalResponse()), pieces }
  },
}

function toResponse({ model }: Access, question: Question): ResponseAsk {
  const { text, image, tools, force, results, schema, maxTokens } = question
  const user: OpenAI.Responses.ResponseInputItem = {
    role: 'user',
    content:
      image === undefined
        ? text
        : [
            { type: 'input_text', text },
            { type: 'input_image', image_url: image, detail: 'auto' },
          ],
  }
  const earlier =
    results === undefined
      ? []
      : [
          // What this client heard, sent back.
          ...(results.of.native as OpenAI.Responses.ResponseInputItem[]),
          ...results.outputs.map((output, index) => ({
            type: 'function_call_output' as const,
            call_id: results.of.calls[index]?.id ?? '',
            output,
          })),
        ]
  return {
    model,
    temperature: 0,
    instructions: 'Be brief.',
    input: [user, ...earlier],
    ...(tools === undefined
      ? {}
      : {
          tools: tools.map(tool => ({ type: 'function', strict: false, ...tool, parameters: { ...tool.parameters } })),
        }),
    ...(force === undefined ? {} : { tool_choice: { type: 'function', name: force } }),
    ...(schema === undefined
      ? {}
      : { text: { format: { type: 'json_schema', name: 'answer', strict: true, schema: { ...schema } } } }),
    ...(maxTokens === undefined ? {} : { max_output_tokens: maxTokens }),
  }
}

function readResponse(response: OpenAI.Responses.Response): Heard {
  const { output, output_text: text, usage } = response
  const calls = output.flatMap(item =>
    item.type === 'function_call' ? [{ id: item.call_id, name: item.name, input: parseInput(item.arguments) }] : [],
  )
  const thought = output.flatMap(item => (item.type === 'reasoning' ? (item.content ?? []) : []))
  return {
    text,
    thought: thought.map(part => part.text).join(''),
    calls,
    finish: finishOf(response),
    usage: usage === undefined || usage === null ? null : { input: usage.input_tokens, output: usage.output_tokens },
    pieces: 0,
    native: output,
  }
}

function finishOf({ output, status, incomplete_details: cut }: OpenAI.Responses.Response): Heard['finish'] {
  if (cut?.reason === 'max_output_tokens') return 'length'
  if (status !== 'completed') return 'other'
  return output.some(item => item.type === 'function_call') ? 'tools' : 'stop'
}
