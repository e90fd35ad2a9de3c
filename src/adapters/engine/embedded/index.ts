/** The embedded engine (llama.cpp in a process of its own), over a Unix socket. */
import type { EngineDialect } from '../../../services/serve/index.ts'
import { toFault } from '../openai/index.ts'
import { probe } from './health.ts'
import { relay, toRequest } from './request.ts'

export const embedded: EngineDialect = { kind: 'embedded', toRequest, relay, toFault, probe }
