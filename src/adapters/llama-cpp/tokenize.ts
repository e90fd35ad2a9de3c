/** POST /tokenize: how many tokens a prompt or a conversation is, and which, in vLLM's shape. Costs no inference. */
import { z } from 'zod'
import type { Call } from './call.ts'
import { ChatInput, renderPrompt, toCallable } from './prompt.ts'
import { parseRequest } from './request.ts'
import type { Weights } from './weights.ts'

const PromptRequest = z.object({ prompt: z.string() })
const ChatRequest = z.object(ChatInput)

/** Both as they would be answered: with the chat template and its tools, and with what every prompt begins with. */
export function answerTokenize(body: unknown, { weights }: Pick<Call, 'weights'>): Promise<unknown> {
  const tokens = toTokens(body, weights)
  return Promise.resolve({ count: tokens.length, tokens, max_model_len: weights.context })
}

function toTokens(body: unknown, weights: Weights): readonly number[] {
  const isPrompt = typeof body === 'object' && body !== null && 'prompt' in body
  if (isPrompt) return weights.tokenize(parseRequest(PromptRequest, body).prompt)
  const chat = parseRequest(ChatRequest, body)
  return renderPrompt(chat, toCallable(chat), weights).tokens
}
