/** Who else is told or asked of a release, over HTTP. */
import { createHmac } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { resolveSecret } from '../adapters/secrets/index.ts'
import type { Decision, Hook, Release } from '../domain/release/index.ts'

type HookParts = { env: NodeJS.ProcessEnv; signal: AbortSignal }

const answerMs = 10_000
/** After each try but the last. */
const waitsMs = [1_000, 5_000, 30_000]

/** Asks once whether promotion may go on. Rejects only as `signal` says. */
export async function askHook(
  hook: Hook,
  release: Release,
  parts: HookParts,
): Promise<{ ok: boolean; detail: string }> {
  try {
    const { ok, status } = await post(hook, { event: 'confirm', ...describe(release) }, parts)
    return { ok, detail: `${hook.url} answered ${status}` }
  } catch (error) {
    parts.signal.throwIfAborted()
    return { ok: false, detail: `${hook.url} can't be asked: ${wordsOf(error)}` }
  }
}

/** Tells of one decision; tried again for a while. Resolves with what went wrong in the end; never rejects. */
export async function tellHook(
  hook: Hook,
  { release, decision }: { release: Release; decision: Decision },
  parts: HookParts,
): Promise<string | null> {
  const { n, at, from, to, share, verdict, why, by, gates } = decision
  const body = { event: 'decision', ...describe(release), n, at: new Date(at).toISOString(), was: from, is: to, share }
  let problem: string | null = null
  for (const wait of [...waitsMs, null]) {
    try {
      const { ok, status } = await post(hook, { ...body, verdict, why, by, gates }, parts)
      if (ok) return null
      problem = `${hook.url} answered ${status}`
    } catch (error) {
      problem = `${hook.url} can't be told: ${wordsOf(error)}`
    }
    if (wait === null || parts.signal.aborted) break
    await pause(wait, undefined, { signal: parts.signal }).catch(() => undefined)
  }
  return problem
}

async function post({ url, secret }: Hook, body: object, { env, signal }: HookParts): Promise<Response> {
  const text = JSON.stringify(body)
  const signature =
    secret === null
      ? {}
      : {
          'x-holdfast-signature': `sha256=${createHmac('sha256', resolveSecret(secret, env)).update(text).digest('hex')}`,
        }
  const answer = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...signature },
    body: text,
    redirect: 'error',
    signal: AbortSignal.any([signal, AbortSignal.timeout(answerMs)]),
  })
  await answer.body?.cancel()
  return answer
}

const describe = ({ id, model, from, to, phase, policy }: Release) => ({
  ...{ release: id, name: model, phase, policy: policy.name },
  metadata: { from, to },
})

const wordsOf = (error: unknown): string => {
  if (error instanceof Error && error.cause instanceof Error) return error.cause.message
  return error instanceof Error ? error.message : String(error)
}
