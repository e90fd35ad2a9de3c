/** Dialects: what clients speak, translated to and from the one that engines do. Start at `translation.ts` and `chat.ts`. */
export type {
  ChatAnswer,
  ChatMessage,
  ChatPiece,
  ChatRequest,
  ChatUsage,
  ContentPart,
  FinishReason,
  Tool,
  ToolCall,
  ToolChoice,
} from './chat.ts'
export type {
  AnswerTranslator,
  KeptResponse,
  PreviousTurns,
  StreamTranslator,
  Translated,
  TranslationContext,
} from './translation.ts'
export { objectEnd } from './object-end.ts'
export { readAnswer } from './read-chat.ts'
export { renderFault } from './surface.ts'
export type { Surface } from './surface.ts'
export { fromCountTokens, fromMessages, toAnthropicModel, toAnthropicModels } from './messages/index.ts'
export { fromResponses } from './responses/index.ts'
export { openToolText } from './tool-text.ts'
export type { Said, ToolText } from './tool-text.ts'
export type { OfferedTool, SaidCall } from './tool-call-json.ts'
