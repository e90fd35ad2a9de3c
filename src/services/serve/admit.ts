/** Admit: may this principal use this model, and is there room in its limits and budgets. What is taken here is given back here. */
import type { Budget, Holder, Principal, Priority } from '../../domain/access/index.ts'
import { answerBound, costOf, type Actual } from '../../domain/budgets/index.ts'
import { FaultError } from '../../domain/fault.ts'
import {
  charactersPerToken,
  plainModel,
  promptTokens,
  type FlagRoute,
  type ModelRoute,
  type VersionRoute,
} from '../../domain/serving/index.ts'
import {
  millis,
  modelName,
  tokens,
  versionName,
  type ModelName,
  type Tokens,
  type VersionName,
} from '../../domain/units.ts'
import type { BudgetLease, Budgets, Estimates } from '../budgets/index.ts'
import type { LimitLease, Limiter, Subject, TokenEstimates } from '../limits/index.ts'
import { ClientGone, type Exchange, type GiveBack, type Stage } from './exchange.ts'
import { answersInstead, flagsFor } from './flags.ts'

/** The routing table's models, and who may use them. */
export interface Permissions {
  model(name: string): ModelRoute | null
  version(name: VersionName): VersionRoute | null
  /** The one that a version answers for, or may come to answer for. */
  modelOf(version: VersionName): ModelRoute | null
  flags(): readonly FlagRoute[]
  mayUse(principal: Principal, model: ModelName): boolean
  permitted(principal: Principal): ModelName[]
  /** Whose limits and budgets count, and how soon its turn comes. */
  holders(principal: Principal): { holders: Holder[]; priority: Priority }
}

export type AdmitParts = {
  permissions: Permissions
  limiter: Limiter
  /** What requests usually use: for limits. */
  usual: TokenEstimates
  budgets: Budgets
  /** What requests use at most: for budgets. */
  estimates: Estimates
}

export const admit = ({ permissions, limiter, usual, budgets, estimates }: AdmitParts): Stage => {
  return (exchange, held) => {
    const { principal, ask } = exchange
    if (principal === null || ask === null) throw new TypeError('admit comes after authenticate and read')
    const named = permissions.model(ask.model)
    if (named === null) {
      if (principal.kind === 'admin' && askByVersion(exchange, permissions, ask.model)) return
      throw new FaultError({ kind: 'model-unknown', model: ask.model, available: permissions.permitted(principal) })
    }
    if (!permissions.mayUse(principal, named.name))
      throw new FaultError({ kind: 'model-not-permitted', model: named.name })
    const flags = permissions.flags()
    const model = flags.length === 0 ? named : underFlags(exchange, named, flagsFor(principal, flags))
    exchange.model = model
    const { holders, priority } = permissions.holders(principal)
    exchange.priority = priority
    const version = permissions.version(model.live)
    const subjects = subjectsOf(model, holders)
    const paying = holders.filter(isPaying)
    // Whom nothing bounds, nothing is counted for.
    if (version === null || (subjects.length === 0 && paying.length === 0)) return
    const prompt = promptTokens(ask)
    const counted: Counted = { model: model.name, version, prompt, bound: answerBound(ask), subjects, paying }
    const taken = take(exchange, counted)
    if (!(taken instanceof Promise)) return begin(exchange, held, { ...counted, taken })
    return taken.then(
      limits => begin(exchange, held, { ...counted, taken: limits }),
      error => refuse(exchange, subjects, error),
    )
  }

  /** Who may use a model may have what a flag lets answer for it: nobody asked for that one. */
  function underFlags(exchange: Exchange, asked: ModelRoute, on: readonly FlagRoute[]): ModelRoute {
    exchange.flags = on.map(({ name }) => name)
    const instead = answersInstead(on, asked.name)
    return (instead === null ? null : permissions.model(instead)) ?? asked
  }

  function take(exchange: Exchange, { model, prompt, bound, subjects }: Counted): LimitLease | Promise<LimitLease> {
    try {
      return limiter.take(subjects, usual.need(model, { characters: prompt * charactersPerToken, maxTokens: bound }))
    } catch (error) {
      return refuse(exchange, subjects, error)
    }
  }

  /** Also who is refused hears what is left. */
  function refuse(exchange: Exchange, subjects: readonly Subject[], error: unknown): never {
    exchange.limitHeaders = limiter.headers(subjects, exchange.head.surface)
    throw error
  }

  function begin(exchange: Exchange, held: GiveBack[], counted: Counted & { taken: LimitLease }): void {
    const { taken, paying, version, prompt, bound } = counted
    exchange.limitHeaders = taken.headers(exchange.head.surface)
    let budget: BudgetLease | null = null
    held.push(() => {
      const used = usedBy(exchange, prompt)
      if (used !== null && (exchange.inputTokens === null || exchange.outputTokens === null))
        exchange.estimatedTokens = used.tokens
      if (used === null) taken.cancel()
      else taken.settle(used.tokens)
      taken.release()
      if (used === null) budget?.cancel()
      else budget?.settle(used)
      learn(exchange, counted)
    })
    // Who left meanwhile has nothing to be counted for.
    if (exchange.gone) throw new ClientGone()
    if (paying.length > 0)
      budget = budgets.reserve(paying, estimates.most(version, { prompt, bound }), exchange.arrivedAt)
  }

  function learn({ inputTokens: input, outputTokens: output, gpuMs, version }: Exchange, counted: Counted): void {
    const { model, prompt, bound } = counted
    usual.learn(model, { characters: prompt * charactersPerToken, input, output })
    if (version === null || input === null || output === null || gpuMs === null) return
    estimates.learn(version, { input, output, gpuMs, bounded: bound !== null })
  }
}

/** What a request is counted by. */
type Counted = {
  model: ModelName
  version: VersionRoute
  prompt: Tokens
  /** Of its answer; `null`: it sets none. */
  bound: Tokens | null
  subjects: readonly Subject[]
  paying: readonly (Holder & { budget: Budget })[]
}

const isPaying = (holder: Holder): holder is Holder & { budget: Budget } => holder.budget !== null

/**
 * Administrators may ask a version by its whole name, to compare it with others: outside of any release, and nobody stands in
 * for it. Those who use the service go first. `false`: there is none of that name.
 */
function askByVersion(exchange: Exchange, permissions: AdmitParts['permissions'], name: string): boolean {
  const version = permissions.version(versionName(name))
  if (version === null) return false
  const of = permissions.modelOf(version.name)
  exchange.model = {
    ...plainModel,
    name: modelName(name),
    live: version.name,
    queue: of?.queue ?? { waiting: 100, deadline: millis(60_000) },
  }
  // The engine may know it by its model's name only.
  exchange.answering = { ...exchange.model, name: of?.name ?? exchange.model.name }
  exchange.priority = 'low'
  return true
}

function subjectsOf(model: ModelRoute, holders: readonly Holder[]): Subject[] {
  const subjects: Subject[] = []
  for (const { subject, id, name, limits } of holders) if (limits !== null) subjects.push({ subject, id, name, limits })
  if (model.limits !== null) subjects.push({ subject: 'model', id: model.name, name: model.name, limits: model.limits })
  return subjects
}

/** `null`: no engine was asked. Tokens that no engine told are those that were sent; one that failed without a byte costs none. */
function usedBy(exchange: Exchange, prompt: Tokens): (Actual & { tokens: Tokens }) | null {
  const { attempts, version, gpuMs, inputTokens, outputTokens, pieces, firstByteMs, gone } = exchange
  if (attempts === 0) return null
  const begun = firstByteMs !== null || gone
  const input = inputTokens ?? (begun ? prompt : 0)
  const output = outputTokens ?? pieces
  const money = gpuMs === null || version === null ? null : costOf(gpuMs, version.cost)
  return { tokens: tokens(input + output), gpuMs, money }
}
