/** The dialect out: OpenAI's own paths and bodies. */
import type { EngineDialect } from '../../../services/serve/index.ts'

export const toRequest: EngineDialect['toRequest'] = (path, body) => ({ path: `/${path}`, body, repair: null })
