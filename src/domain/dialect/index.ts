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
export { chunkReader, readAnswer, readUsage } from './read-chat.ts'
export type { AnswerTranslator, StreamTranslator, Translated, TranslationContext } from './translation.ts'
