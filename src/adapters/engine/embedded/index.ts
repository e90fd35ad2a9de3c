/** The embedded engine (llama.cpp in a process of its own): OpenAI's dialect over a Unix socket. */
import type { EngineDialect } from '../../../services/serve/index.ts'
import { probe, toFault, toRequest } from '../openai/index.ts'

export const embedded: EngineDialect = { kind: 'embedded', toRequest, toFault, probe }
