/** POST /tokenize: how many tokens a prompt or a conversation is, and which, in vLLM's shape. */
import { z } from 'zod'
import type { Call } from './call.ts'
import { Message, toTurns } from './messages.ts'
import { parseRequest } from './request.ts'

const ofPrompt = z.object({ prompt: z.string() })
const ofChat = z.object({ messages: z.array(Message).min(1) })
const TokenizeRequest = z.union([ofChat, ofPrompt], {
  error: "needs 'prompt', a string, or 'messages', a conversation",
})

/** Both as they would be answered: with the chat template, and with what every prompt begins with. */
export function answerTokenize(body: unknown, { weights }: Pick<Call, 'weights'>): Promise<unknown> {
  const request = parseRequest(TokenizeRequest, body)
  const tokens =
    'messages' in request ? weights.renderChat(toTurns(request.messages)) : weights.tokenize(request.prompt)
  return Promise.resolve({ count: tokens.length, tokens, max_model_len: weights.context })
}
