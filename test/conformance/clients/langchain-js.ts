/** LangChain for JavaScript: `ChatOpenAI` over chat completions and over responses. */
import {
  AIMessage,
  HumanMessage,
  SystemMessage,
  ToolMessage,
  type AIMessageChunk,
  type BaseMessage,
} from '@langchain/core/messages'
import { ChatOpenAI } from '@langchain/openai'
import { fieldOf, problemOf, textOf, type Access, type Heard, type Question, type Speaker } from '../speaker.ts'

export const langchainChat = speaker(false)
export const langchainResponses = speaker(true)

function speaker(useResponsesApi: boolean): Speaker {
  return {
    problem: problemOf,
    async ask(access, question) {
      return read(await bound(access, question).invoke(toMessages(question)), 0)
    },
    async stream(access, question, { signal, onPiece } = {}) {
      let whole: AIMessageChunk | null = null
      let pieces = 0
      const chunks = await bound(access, question).stream(toMessages(question), signal === undefined ? {} : { signal })
      for await (const chunk of chunks) {
        whole = whole === null ? chunk : whole.concat(chunk)
        if (chunk.text === '') continue
        pieces++
        onPiece?.()
      }
      if (whole === null) throw new Error('a stream without chunks')
      return read(whole, pieces)
    },
  }

  function bound({ url, key, model }: Access, { tools, force, schema, maxTokens }: Question) {
    const chat = new ChatOpenAI({
      model,
      apiKey: key,
      configuration: { baseURL: `${url}/v1` },
      useResponsesApi,
      maxRetries: 0,
      temperature: 0,
      ...(maxTokens === undefined ? {} : { maxTokens }),
    })
    return chat.withConfig({
      ...(tools === undefined
        ? {}
        : { tools: tools.map(tool => ({ type: 'function' as const, function: { ...tool } })) }),
      ...(force === undefined ? {} : { tool_choice: force }),
      ...(schema === undefined
        ? {}
        : {
            response_format: {
              type: 'json_schema' as const,
              json_schema: { name: 'answer', strict: true, schema: { ...schema } },
            },
          }),
    })
  }
}

function toMessages({ text, image, results }: Question): BaseMessage[] {
  const user = new HumanMessage({
    content:
      image === undefined
        ? text
        : [
            { type: 'text', text },
            { type: 'image_url', image_url: { url: image } },
          ],
  })
  if (results === undefined) return [new SystemMessage('Be brief.'), user]
  const { native, calls } = results.of
  if (!AIMessage.isInstance(native)) throw new Error('this is no answer of LangChain')
  return [
    new SystemMessage('Be brief.'),
    user,
    native,
    ...results.outputs.map((content, index) => new ToolMessage({ content, tool_call_id: calls[index]?.id ?? '' })),
  ]
}

function read(message: AIMessage | AIMessageChunk, pieces: number): Heard {
  const { text, tool_calls: calls = [], response_metadata: meta, additional_kwargs: more } = message
  const [input, output] = ['input_tokens', 'output_tokens'].map(name => fieldOf(message.usage_metadata, name))
  return {
    text,
    thought: textOf(more['reasoning_content']),
    calls: calls.map(({ id = '', name, args }) => ({ id, name, input: args })),
    finish: finishOf(meta, calls.length > 0),
    usage: typeof input === 'number' && typeof output === 'number' ? { input, output } : null,
    pieces,
    native: message,
  }
}

/** Of a chat its finish reason, of a response its status. */
function finishOf(meta: Record<string, unknown>, called: boolean): Heard['finish'] {
  const finishes: Record<string, Heard['finish']> = { stop: 'stop', tool_calls: 'tools', length: 'length' }
  if (meta['finish_reason'] !== undefined) return finishes[textOf(meta['finish_reason'])] ?? 'other'
  if (fieldOf(meta['incomplete_details'], 'reason') === 'max_output_tokens') return 'length'
  if (meta['status'] !== 'completed') return 'other'
  return called ? 'tools' : 'stop'
}
