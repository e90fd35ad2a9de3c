/** The AI SDK: `openai-compatible` for chat, `openai` for responses, `anthropic` for messages. */
import { createAnthropic } from '@ai-sdk/anthropic'
import { createOpenAI } from '@ai-sdk/openai'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import {
  APICallError,
  generateText,
  jsonSchema,
  NoOutputGeneratedError,
  Output,
  RetryError,
  streamText,
  tool,
  type LanguageModel,
  type ModelMessage,
  type ToolSet,
} from 'ai'
import { problemOf, type Access, type Heard, type Problem, type Question, type Speaker } from '../speaker.ts'

export function compatible({ url, key }: Access) {
  return createOpenAICompatible({
    name: 'holdfast',
    baseURL: `${url}/v1`,
    apiKey: key,
    includeUsage: true,
    supportsStructuredOutputs: true,
  })
}

export const aiSdkChat = speaker(access => compatible(access)(access.model))

export const aiSdkResponses = speaker(({ url, key, model }) =>
  createOpenAI({ baseURL: `${url}/v1`, apiKey: key }).responses(model),
)

export const aiSdkMessages = speaker(({ url, key, model }) =>
  createAnthropic({ baseURL: `${url}/v1`, apiKey: key })(model),
)

function speaker(modelOf: (access: Access) => LanguageModel): Speaker {
  return {
    problem,
    async ask(access, question) {
      const answer = await generateText({ ...toCall(question), ...outputOf(question), model: modelOf(access) })
      return read(answer, { pieces: 0, native: answer.response.messages })
    },
    async stream(access, question, { signal, onPiece } = {}) {
      let failure: unknown = null
      const stream = streamText({
        ...toCall(question),
        ...outputOf(question),
        model: modelOf(access),
        ...(signal === undefined ? {} : { abortSignal: signal }),
        onError: ({ error }) => {
          failure ??= error
        },
      })
      let pieces = 0
      for await (const part of stream.fullStream) {
        if (part.type !== 'text-delta') continue
        pieces++
        onPiece?.()
      }
      // A stream that fails ends, and tells why beside it.
      if (failure !== null) throw failure
      signal?.throwIfAborted()
      const [text, reasoningText, toolCalls, finishReason, usage, response] = await Promise.all([
        stream.text,
        stream.reasoningText,
        stream.toolCalls,
        stream.finishReason,
        stream.usage,
        stream.response,
      ])
      const answer = { text, reasoningText, toolCalls, finishReason, usage }
      return read(answer, { pieces, native: response.messages })
    },
  }
}

const outputOf = ({ schema }: Question) =>
  schema === undefined ? {} : { output: Output.object({ schema: jsonSchema<unknown>({ ...schema }) }) }

function toCall({ text, image, tools, force, results, maxTokens }: Question) {
  const messages: ModelMessage[] = [
    {
      role: 'user',
      content: [{ type: 'text', text }, ...(image === undefined ? [] : [{ type: 'image' as const, image }])],
    },
  ]
  if (results !== undefined) {
    // What this client heard, sent back.
    messages.push(...(results.of.native as ModelMessage[]))
    messages.push({
      role: 'tool',
      content: results.outputs.map((value, index) => ({
        type: 'tool-result',
        toolCallId: results.of.calls[index]?.id ?? '',
        toolName: results.of.calls[index]?.name ?? '',
        output: { type: 'text', value },
      })),
    })
  }
  return {
    system: 'Be brief.',
    messages,
    maxRetries: 0,
    temperature: 0,
    maxOutputTokens: maxTokens ?? defaultMaxTokens,
    ...(tools === undefined
      ? {}
      : {
          // What it makes is what it takes; under exactOptionalPropertyTypes its own types don't say so.
          tools: Object.fromEntries(
            tools.map(({ name, description, parameters }) => [
              name,
              tool({ description, inputSchema: jsonSchema({ ...parameters }) }),
            ]),
          ) as ToolSet,
        }),
    ...(force === undefined ? {} : { toolChoice: { type: 'tool' as const, toolName: force } }),
    // Else its Anthropic provider asks models that it does not know for JSON by a forced tool.
    providerOptions: { anthropic: { structuredOutputMode: 'outputFormat' } },
  }
}

/** Its Anthropic provider sends 4096 where none is given. */
const defaultMaxTokens = 100

type Answer = {
  text: string
  reasoningText: string | undefined
  toolCalls: { toolCallId: string; toolName: string; input: unknown }[]
  finishReason: string
  usage: { inputTokens: number | undefined; outputTokens: number | undefined }
}

function read(answer: Answer, { pieces, native }: { pieces: number; native: unknown }): Heard {
  const { inputTokens: input, outputTokens: output } = answer.usage
  const finishes: Record<string, Heard['finish']> = { 'stop': 'stop', 'tool-calls': 'tools', 'length': 'length' }
  return {
    text: answer.text,
    thought: answer.reasoningText ?? '',
    calls: answer.toolCalls.map(call => ({ id: call.toolCallId, name: call.toolName, input: call.input })),
    finish: finishes[answer.finishReason] ?? 'other',
    usage: input === undefined || output === undefined ? null : { input, output },
    pieces,
    native,
  }
}

function problem(error: unknown): Problem {
  if (RetryError.isInstance(error)) return problem(error.lastError)
  if (NoOutputGeneratedError.isInstance(error) && error.cause !== undefined) return problem(error.cause)
  if (!APICallError.isInstance(error)) return problemOf(error)
  return { type: error.name, status: error.statusCode ?? null, message: error.message }
}
