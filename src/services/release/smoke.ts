/** Puts the smoke prompts to both versions, and has the domain judge their answers. */
import { judgeSmoke, smokePrompts, type SmokeAnswer, type SmokePrompt } from '../../domain/evaluation/index.ts'
import type { SmokeResult } from '../../domain/release/index.ts'
import type { Instant } from '../../domain/units.ts'
import type { Ask } from '../evaluate/index.ts'

export type SmokeRun = {
  prompts: number
  candidate: Ask
  /** `null`: the live version rests, so that the candidate is measured by itself. */
  live: Ask | null
  now: () => Instant
  signal: AbortSignal
}

const seed = 1

/** Rejects only as `signal` says: a version that does not answer is what smoke is there to find. */
export async function runSmoke({ prompts, candidate, live, now, signal }: SmokeRun): Promise<SmokeResult> {
  const rounds = []
  for (const prompt of smokePrompts(prompts)) {
    const given = await put(candidate, prompt, signal)
    rounds.push({ prompt, candidate: given, live: live === null ? given : await put(live, prompt, signal) })
  }
  const checks = judgeSmoke(rounds)
  return { at: now(), passed: checks.every(({ passed }) => passed), checks }
}

async function put(
  ask: Ask,
  { messages, maxTokens, tools, schema }: SmokePrompt,
  signal: AbortSignal,
): Promise<SmokeAnswer> {
  try {
    const options = { seed, signal, temperature: 0, maxTokens }
    const answer = await ask(messages, {
      ...options,
      ...(tools === undefined ? {} : { tools }),
      ...(schema === undefined ? {} : { schema }),
    })
    return { answer }
  } catch (error) {
    signal.throwIfAborted()
    return { answer: null, why: error instanceof Error ? error.message : String(error) }
  }
}
