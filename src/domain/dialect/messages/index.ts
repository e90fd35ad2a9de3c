/** Anthropic's Messages: `/v1/messages`, `/v1/messages/count_tokens`, and errors and models as its clients read them. */
export { fromCountTokens, fromMessages } from './from-messages.ts'
export { toAnthropicFault } from './fault.ts'
export { toAnthropicModel, toAnthropicModels } from './models.ts'
