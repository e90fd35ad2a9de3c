/** Triton Inference Server, by its OpenAI front end. */
import type { EngineDialect } from '../../../services/serve/index.ts'
import { probe, toFault, toRequest } from '../openai/index.ts'

export const triton: EngineDialect = { kind: 'triton', toRequest, toFault, probe }
