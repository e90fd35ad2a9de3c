/** Surfaces: the two families of clients, where their dialects differ outside of bodies: in errors and in lists of models. */
import type { HttpFault } from '../fault.ts'
import type { RequestId } from '../units.ts'
import { toAnthropicFault } from './messages/index.ts'

export type Surface = 'openai' | 'anthropic'

/** An error's body as this client's library reads it. */
export function renderFault(surface: Surface, http: HttpFault, id: RequestId): object {
  return surface === 'anthropic' ? toAnthropicFault(http, id) : http.body
}
