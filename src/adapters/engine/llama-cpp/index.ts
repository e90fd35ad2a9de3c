/** llama-server, of llama.cpp. */
import type { EngineDialect } from '../../../services/serve/index.ts'
import { toFault } from './errors.ts'
import { probe } from './health.ts'
import { relay, toRequest } from './request.ts'

export const llamaCpp: EngineDialect = { kind: 'llama-cpp', toRequest, relay, toFault, probe }
