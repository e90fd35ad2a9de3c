/** Surfaces: the families of clients, where their dialects differ outside of bodies: in errors and in lists of models. */
import type { HttpFault } from '../fault.ts'
import type { RequestId } from '../units.ts'
import { toAnthropicFault } from './messages/index.ts'
import { toResponsesFault } from './responses/index.ts'

export type Surface = 'openai' | 'responses' | 'anthropic'

/** An error's body as this client's library reads it. */
export function renderFault(surface: Surface, http: HttpFault, id: RequestId): object {
  switch (surface) {
    case 'openai':
      return http.body
    case 'responses':
      return toResponsesFault(http)
    case 'anthropic':
      return toAnthropicFault(http, id)
    default:
      return surface satisfies never
  }
}
