/** Token estimates: what a request will use, before anybody knows, learned from what others of its model have used. */
import { tokens, type ModelName, type Tokens } from '../units.ts'
import type { TokenNeed } from './take.ts'

export interface TokenEstimates {
  /** `maxTokens: null`: the client sends none. Characters are those of the prompt. */
  need(model: ModelName, request: { characters: number; maxTokens: number | null }): TokenNeed
  /** What a request has used whose engine does not say. `pieces`: of its answer, about a token each. */
  used(model: ModelName, request: { characters: number; pieces: number }): Tokens
  /** Takes in what an engine said; `null`: it did not. */
  learn(model: ModelName, usage: { characters: number; input: Tokens | null; output: Tokens | null }): void
}

/** Before anything is learned: of most languages and tokenizers, and of a conversation's answers. */
const charactersPerToken = 4
const usualAnswer = 256
/** The newest counts for a sixteenth: a few long answers move it, one does not. */
const weight = 1 / 16
/** Shorter prompts are mostly the template's tokens, and tell nothing of how many characters one has. */
const tellingPrompt = 200

type Learned = { perToken: number; answer: number }

export function openTokenEstimates(): TokenEstimates {
  const models = new Map<ModelName, Learned>()
  const of = (model: ModelName): Learned => models.get(model) ?? { perToken: charactersPerToken, answer: usualAnswer }
  const prompt = (model: ModelName, characters: number): number => Math.ceil(characters / of(model).perToken)

  return {
    need(model, { characters, maxTokens }) {
      const asked = prompt(model, characters) + (maxTokens ?? 0)
      return { asked: tokens(asked), guessed: tokens(maxTokens === null ? Math.ceil(of(model).answer) : 0) }
    },

    used: (model, { characters, pieces }) => tokens(prompt(model, characters) + pieces),

    learn(model, { characters, input, output }) {
      const { perToken, answer } = of(model)
      const tells = input !== null && input > 0 && characters >= tellingPrompt
      models.set(model, {
        // Bounded: an engine that counts nonsense must not make every prompt free, or too large.
        perToken: tells ? moved(perToken, Math.min(16, Math.max(0.5, characters / input))) : perToken,
        answer: output === null ? answer : moved(answer, output),
      })
    },
  }
}

const moved = (old: number, seen: number): number => old + (seen - old) * weight
