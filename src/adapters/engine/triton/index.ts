/** Triton Inference Server, by its OpenAI front end. */
import type { EngineDialect } from '../../../services/serve/index.ts'
import { toFault } from '../openai/index.ts'
import { probe } from './health.ts'
import { toRequest } from './request.ts'

export const triton: EngineDialect = { kind: 'triton', toRequest, toFault, probe }
