/** The spec's `releases` and `flags` sections. */
import { z } from 'zod'
import { count, model, name, text } from './fields.ts'
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
    })
    .describe('The candidate answers the golden set.')
    .optional(),
  shadow: z
    .strictObject({
      share: share('Part of the requests that is copied to the candidate.').prefault('20%'),
      judge: model('The model that compares both answers.').optional(),
      margin: margin('How much more often it may lose than win.').prefault('10%'),
      maxPairs: count('Pairs of answers after which the phase ends.').default(600),
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
    })
    .describe('What must hold in every phase. None: only hard stops.')
    .optional(),
  onTimeout: z
    .enum(['hold', 'rollback'])
    .default('hold')
    .describe('What happens when a phase gets no verdict in its time. Never promotion.'),
})

export const featureFlag = z.strictObject({
  name: name('The flag.'),
  teams: z.array(name('A team.')).default([]).describe('Teams that it is on for.'),
  share: share('Part of their requests.').prefault('100%'),
})
