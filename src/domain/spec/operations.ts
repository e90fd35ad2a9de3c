/** The spec's sections for running the service: teams, capture, alerts, backup, retrieval and GitOps. */
import { z } from 'zod'
import { flag, limits, model, name, positive, secret, text, wordOrSecret } from './fields.ts'
import { duration } from './measures.ts'

const currency = z.string().regex(/^[A-Z]{3}$/, 'expected a currency of three letters, such as EUR')

export const team = z.strictObject({
  name: name('The team.'),
  models: z.array(model('A model.')).optional().describe('Models that it may use; left out: every model.'),
  limits: limits('Bounds for the whole team.').optional(),
  budget: z
    .strictObject({
      amount: positive('How much.'),
      unit: z
        .enum(['money', 'gpu-seconds', 'tokens'])
        .default('money')
        .describe('What is counted. Money for own GPUs comes from `hosts[].cost`.'),
      currency: currency.meta({ title: 'currency', description: 'ISO 4217.' }).default('EUR'),
      every: duration('For how long.').prefault('30d'),
    })
    .describe('What it may spend.')
    .optional(),
  priority: z.enum(['low', 'normal', 'high']).default('normal').describe('Who goes first when requests wait.'),
  shadow: flag(
    'Whether a judge may be shown its requests: copies to a candidate, to compare both answers, and samples for marks.',
  ).default(true),
})

export const capture = z.strictObject({
  prompts: flag('Whether the text of requests and answers is kept. Records of them always are.').default(false),
  retention: duration('How long.').prefault('30d'),
  redact: z
    .array(z.enum(['email', 'phone', 'secrets']))
    .default([])
    .describe('What is blacked out before it is kept.'),
  whenUnwritable: z
    .enum(['serve', 'refuse'])
    .default('serve')
    .describe(
      'What happens to requests while the journal cannot be written (a full disk): served with a gap in the record, or refused.',
    ),
})

export const alerts = z.strictObject({
  slack: z
    .strictObject({ url: secret('The incoming webhook.') })
    .describe('A Slack channel.')
    .optional(),
  telegram: z
    .strictObject({
      token: secret('The bot’s token.'),
      chat: text('The chat’s id, in quotes.'),
    })
    .describe('A Telegram chat.')
    .optional(),
})

export const backup = z.strictObject({
  snapshots: duration('Time between two.').prefault('30m'),
  keep: duration('How long they are kept.').prefault('14d'),
  replicate: z
    .strictObject({
      zfs: text('Host and data set that snapshots are sent to.').optional(),
      rclone: text('Remote and path that they are copied to.').optional(),
    })
    .describe('Where copies go.')
    .optional(),
})

export const rag = z.strictObject({
  embed: model('The model that makes embeddings.'),
  store: wordOrSecret('embedded', 'Where vectors are kept: inside Holdfast, or at a vector store.').default('embedded'),
  collections: z
    .array(
      z.strictObject({
        name: name('The collection.'),
        teams: z.array(name('A team.')).optional().describe('Teams that may search it; left out: every team.'),
      }),
    )
    .default([])
    .describe('Sets of documents.'),
})

export const gitops = z.strictObject({
  repository: text('The repository’s address. Credentials belong to Git’s own helpers, not here.').refine(
    address => !/:\/\/[^/@\s]*:[^/@\s]*@/.test(address),
    'has a password in it: leave it to Git’s credential helper',
  ),
  branch: text('The branch.').default('main'),
  path: text('The folder with the spec.').default('.'),
  interval: duration('Time between two looks.').prefault('60s'),
})
