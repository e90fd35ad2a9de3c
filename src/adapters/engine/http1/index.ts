/** HTTP/1.1 towards engines, over node:net: docs/design/0013-data-plane.md. */
export { openClient } from './client.ts'
export type { Client } from './client.ts'
export { toEndpoint } from './endpoint.ts'
export type { Endpoint } from './endpoint.ts'
