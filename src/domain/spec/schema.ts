/** Every key of `holdfast.yaml`, once: its name, unit, default and meaning. Types, checks, JSON Schema and reference come from here. */
import { z } from 'zod'
import { controller } from './controller.ts'
import { name, wordOrSecret } from './fields.ts'
import { gateway } from './gateway.ts'
import { host, registry, tunnel } from './machines.ts'
import { alerts, backup, capture, gitops, rag, team } from './operations.ts'
import { featureFlag, release } from './releases.ts'
import { prompts, publicModel, version } from './versions.ts'

const apiVersion = 'holdfast/v1'

export const specSchema = z.strictObject({
  apiVersion: z.literal(apiVersion).default(apiVersion).describe('The form of this file.'),
  name: name('The service.').default('holdfast'),
  gateway: gateway.prefault({}).describe('The data plane: where requests come in, and its bounds.'),
  controller: controller.prefault({}).describe('The control plane, for gateways on other machines.'),
  store: wordOrSecret('sqlite', 'Where state is kept: a file, or PostgreSQL.').default('sqlite'),
  hosts: z.array(host).default([]).describe('The machines.'),
  registry: z.array(registry).default([]).describe('Where weights are kept.'),
  prompts: prompts.default({}).describe('System prompts by id. `p0` always exists and adds nothing.'),
  versions: z
    .array(version)
    .default([])
    .describe(
      'Immutable combinations of weights, engine, flags, chat template, sampling and prompt. Replicas and description do not count.',
    ),
  models: z
    .array(publicModel)
    .default([])
    .describe('The names that clients send. None: `smoke`, on the embedded engine.'),
  releases: z
    .record(
      z
        .string()
        .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, 'expected a name of letters, digits, dots, dashes and underscores'),
      release,
    )
    .default({})
    .describe('Policies: what a new version must prove. Every phase may be left out.'),
  flags: z.array(featureFlag).default([]).describe('Features that are on for some.'),
  teams: z.array(team).default([]).describe('Who may use what.'),
  capture: capture.prefault({}).describe('What is kept of requests.'),
  tunnel: tunnel.describe('The private network in.').optional(),
  alerts: alerts.describe('Where findings are sent.').optional(),
  backup: backup.describe('Snapshots and copies of state.').optional(),
  rag: rag.describe('Search in documents.').optional(),
  gitops: gitops.describe('The repository that this file is followed from.').optional(),
})

/** The spec with its defaults filled in and its units parsed. */
export type Spec = z.output<typeof specSchema>
/** The spec as people write it. */
export type SpecInput = z.input<typeof specSchema>

export type SpecVersion = Spec['versions'][number]
export type SpecRegistry = Spec['registry'][number]
export type SpecReplica = SpecVersion['replicas'][number]
