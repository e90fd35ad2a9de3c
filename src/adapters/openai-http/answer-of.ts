/** The answer to a fault that the pipeline never saw. */
import { renderFault, type Surface } from '../../domain/dialect/index.ts'
import { toHttp, type Fault } from '../../domain/fault.ts'
import type { RequestId } from '../../domain/units.ts'

export type FaultAnswer = { status: number; headers: Record<string, string>; bytes: Buffer }

export function answerOf(fault: Fault, surface: Surface, id: RequestId): FaultAnswer {
  const http = toHttp(fault)
  const { status, retryAfterSeconds } = http
  const bytes = Buffer.from(JSON.stringify(renderFault(surface, http, id)))
  const headers = {
    'content-type': 'application/json',
    'content-length': String(bytes.length),
    'x-request-id': id,
    ...http.headers,
    ...(retryAfterSeconds === null ? {} : { 'retry-after': String(retryAfterSeconds) }),
    ...(fault.kind === 'method-not-allowed' ? { allow: fault.allowed.join(', ') } : {}),
  }
  return { status, headers, bytes }
}
