/** What a candidate is put to, through the gateway on this machine: smoke, the golden set, and whoever has to agree. */
import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { askAt, embedAt } from '../adapters/openai-client/index.ts'
import { parseGoldenSet } from '../domain/evaluation/index.ts'
import type { GoldenResult } from '../domain/release/index.ts'
import type { Instant, ModelName, VersionName } from '../domain/units.ts'
import { evaluateGolden, type Ask, type Judge } from '../services/evaluate/index.ts'
import { runSmoke, type Trials } from '../services/release/index.ts'
import { fetchAtSocket } from './reach-gateway.ts'
import { askHook } from './release-hooks.ts'

export type TrialParts = {
  socket: string
  key: string
  env: NodeJS.ProcessEnv
  /** The spec's folder: golden sets are named from there. */
  folder: () => string
  /** What a model's live version is, by digest; `null`: the spec has none. */
  identityOf: (version: VersionName) => string | null
  /** Which version answers for a model. */
  liveOf: (model: ModelName) => VersionName | null
  now: () => Instant
}

const answerMs = 300_000
const seed = 20_260_101

export function openTrials(parts: TrialParts): Trials & { judgeOf: (model: ModelName) => Judge } {
  const { socket, key, now } = parts

  /** The gateway serves its administrator any version by its name. */
  const address = (model: string) => ({
    url: 'http://localhost',
    key,
    model,
    timeoutMs: answerMs,
    reach: (path: string, init: RequestInit) => fetchAtSocket(socket, path, init),
  })
  const ask = (model: string): Ask => askAt(address(model))

  function judgeOf(model: ModelName): Judge {
    const version = parts.liveOf(model)
    return {
      ask: ask(model),
      name: version ?? model,
      digest: version === null ? null : parts.identityOf(version),
      seed,
      nonce: randomUUID,
    }
  }

  return {
    judgeOf,

    smoke: ({ policy, from, to }, signal) =>
      runSmoke({
        prompts: policy.smoke?.prompts ?? 1,
        candidate: ask(to),
        live: policy.room === 'swap-idle' ? null : ask(from),
        ...{ now, signal },
      }),

    async golden({ policy, from, to }, signal) {
      if (policy.golden === null) throw new TypeError('this policy has no golden set')
      const { set: file, margin, repeats, judge, embed } = policy.golden
      const path = resolve(parts.folder(), file)
      // With room for one the live version can't be asked beside it: the candidate has to pass by itself.
      const isAlone = policy.room === 'swap-idle'
      const set = parseGoldenSet(await readFile(path, 'utf8'))
      if (!set.ok)
        return unreadable(
          path,
          set.problems.map(problem => `line ${problem.line}: ${problem.problem}`),
          now(),
        )
      const { outcome, ...whole } = await evaluateGolden({
        set: set.set,
        arms: isAlone ? { candidate: ask(to) } : { live: ask(from), candidate: ask(to) },
        standard: isAlone ? { kind: 'alone', atLeast: 1 - margin } : { kind: 'against', margin },
        ...(judge === null ? {} : { judge: judgeOf(judge) }),
        ...(embed === null ? {} : { embed: embedAt(address(embed)) }),
        ...{ repeats, concurrency: 2, seed, signal },
      })
      const result: GoldenResult = {
        at: now(),
        verdict: outcome.verdict,
        why: outcome.reasons.join('; '),
        cases: outcome.cases,
        candidateScore: outcome.arms.candidate.score,
        liveScore: outcome.arms.live?.score ?? null,
        smallestVisible: outcome.difference?.smallestSeen ?? null,
      }
      return { result, whole: { outcome, ...whole } }
    },

    confirm: (hook, release, signal) => askHook(hook, release, { env: parts.env, signal }),
  }
}

function unreadable(path: string, problems: readonly string[], at: Instant): { result: GoldenResult; whole: unknown } {
  const why = `${path} can't be used: ${problems.slice(0, 3).join('; ')}`
  const none = { cases: 0, candidateScore: null, liveScore: null, smallestVisible: null }
  return { result: { at, verdict: 'inconclusive', why, ...none }, whole: { problems } }
}
