/** Records of requests, for tests: say only what matters there. */
import type { CloseRecord, OpenRecord } from '../../src/domain/journal/index.ts'
import {
  instant,
  keyId,
  millis,
  modelName,
  replicaId,
  requestId,
  teamName,
  tokens,
  versionName,
} from '../../src/domain/units.ts'

/** When they arrived, if nothing else is said. */
export const noon = Date.UTC(2026, 0, 5, 12)

export const anOpen = (id: string, change: Partial<OpenRecord> = {}): OpenRecord => ({
  t: 'open',
  id: requestId(id),
  at: instant(noon),
  key: keyId('k1'),
  alias: 'bot',
  team: teamName('ops'),
  model: modelName('chat'),
  route: '/v1/chat/completions',
  stream: true,
  ...change,
})
export const aClose = (id: string, change: Partial<CloseRecord> = {}): CloseRecord => ({
  ...anOpen(id),
  t: 'close',
  version: versionName('chat-v1'),
  replica: replicaId('r1'),
  status: 200,
  outcome: 'ok',
  fault: null,
  inputTokens: tokens(10),
  outputTokens: tokens(20),
  ttftMs: millis(12.5),
  totalMs: millis(250.25),
  attempts: 1,
  clientId: 'mine',
  from: '127.0.0.1',
  choice: 'least loaded',
  waitedMs: null,
  gpuMs: null,
  cost: null,
  currency: null,
  ...change,
})
