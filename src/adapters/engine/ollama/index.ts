/** Ollama, by its OpenAI-compatible routes. */
import type { EngineDialect } from '../../../services/serve/index.ts'
import { toFault } from './errors.ts'
import { probe } from './health.ts'
import { toRequest } from './request.ts'

export const ollama: EngineDialect = { kind: 'ollama', loadsOnDemand: true, toRequest, toFault, probe }
