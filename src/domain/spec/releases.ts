/** The spec's `releases` and `flags` sections. */
import { z } from 'zod'
import { count, flag, model, name, secret, text, web } from './fields.ts'
import { duration, margin, share } from './measures.ts'

const ratio = (meaning: string) =>
  z
    .strictObject({
      ratio: z.number().min(1).meta({ title: 'number', description: 'At most this many times the live version’s.' }),
    })
    .describe(meaning)
    .optional()

export const release = z.strictObject({
  room: z
    .enum(['beside', 'swap-idle'])
    .default('beside')
    .describe(
      '`beside`: both versions run at once. `swap-idle`: the GPU has no room for two, so they swap in an idle window.',
    ),
  smoke: z
    .strictObject({
      prompts: count('Prompts that it must answer.').default(5),
    })
    .describe('The candidate answers at all.')
    .optional(),
  golden: z
    .strictObject({
      set: text('The golden set, a file relative to the spec.'),
      margin: margin('How much worse than the live version it may be.').prefault('2%'),
      repeats: count('How often each case is asked.').default(1),
      judge: model('The model that gives marks from 1 to 10 where a case asks for it.').optional(),
      embed: model('The model whose embeddings tell how close two answers are.').optional(),
    })
    .describe('The candidate answers the golden set.')
    .optional(),
  shadow: z
    .strictObject({
      share: share('Part of the requests that is copied to the candidate.').prefault('20%'),
      judge: model('The model that compares both answers.').optional(),
      margin: margin('How much more often it may lose than win.').prefault('10%'),
      maxPairs: count('Pairs of answers after which the phase ends.').default(600),
      allowExternal: flag('Whether the judge may be outside of our own hosts: both answers are sent there.').default(
        false,
      ),
    })
    .describe('Copies of requests, judged; clients never see the answers.')
    .optional(),
  canary: z
    .strictObject({
      steps: z
        .array(share('Part of the requests.'))
        .min(1)
        .refine(
          steps => steps.every((step, at) => step > 0 && step > (steps[at - 1] ?? 0)),
          'each step must be more than the one before it, and than 0',
        )
        .prefault(['1%', '5%', '25%', '50%', '100%'])
        .describe('Parts of the requests that the candidate answers, one after another.'),
      minTime: duration('Shortest time in a step.').prefault('10m'),
      minRequests: count('Fewest requests in a step.').default(20),
      maxTime: duration('Longest time in a step; then `onTimeout`.').prefault('24h'),
      bake: duration('Time under full load before the old version goes.').prefault('30m'),
      stick: z
        .enum(['conversation', 'user', 'key', 'request'])
        .default('conversation')
        .describe('What always gets the same version.'),
    })
    .describe('A growing part of the requests.')
    .optional(),
  gates: z
    .strictObject({
      errors: z
        .strictObject({ margin: margin('How much higher the candidate’s may be.') })
        .describe('Share of failed requests.')
        .optional(),
      firstToken: ratio('Time to the first token.'),
      perToken: ratio('Time for each token after it.'),
      feedback: ratio('Share of people who were not content.'),
    })
    .describe('What must hold in every phase. None: only hard stops.')
    .optional(),
  hooks: z
    .array(
      z.strictObject({
        kind: z
          .enum(['event', 'confirm'])
          .default('event')
          .describe('`event`: told of every transition. `confirm`: asked before promotion, which waits for its 2xx.'),
        url: web('Where it is posted, as JSON.'),
        secret: secret('Signs the body (HMAC-SHA256, in `x-holdfast-signature`).').optional(),
      }),
    )
    .default([])
    .describe('Who else is told or asked.'),
  onTimeout: z
    .enum(['hold', 'rollback'])
    .default('hold')
    .describe('What happens when a phase gets no verdict in its time. Never promotion.'),
})

export const featureFlag = z.strictObject({
  name: name('The flag.'),
  teams: z.array(name('A team.')).default([]).describe('Teams that it is on for.'),
  share: share('Part of their requests.').prefault('100%'),
  answers: z
    .strictObject({
      model: model('The model that clients ask for.'),
      by: model('The model that answers instead.'),
    })
    .describe('Requests for one model are answered by another while the flag is on.')
    .optional(),
})
