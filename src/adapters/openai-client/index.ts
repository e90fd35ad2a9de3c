/** Asks any OpenAI-compatible address as a client does: chats and embeddings, whole answers, bounded in time and bytes. */
export { askAt, embedAt } from './ask-at.ts'
export { listModels } from './list-models.ts'
export type { ListedModel } from './list-models.ts'
export type { Address } from './post.ts'
