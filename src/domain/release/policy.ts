/** From the spec's `releases.<name>` to what a release goes by; frozen when it begins. */
import type { Spec } from '../spec/index.ts'
import { modelName, share } from '../units.ts'
import type { Policy } from './release.ts'

type SpecPolicy = Spec['releases'][string]

/** `null`: the model has none: nothing is compared, and hard stops decide. */
export function toPolicy(name: string | null, spec: SpecPolicy | null): Policy {
  if (spec === null) return { ...barePolicy, name }
  const { room, smoke, golden, shadow, canary, gates, hooks, onTimeout } = spec
  return {
    name,
    room,
    smoke: smoke ?? null,
    golden:
      golden === undefined
        ? null
        : {
            set: golden.set,
            margin: golden.margin,
            repeats: golden.repeats,
            judge: golden.judge === undefined ? null : modelName(golden.judge),
            embed: golden.embed === undefined ? null : modelName(golden.embed),
          },
    shadow:
      shadow === undefined
        ? null
        : {
            share: shadow.share,
            judge: shadow.judge === undefined ? null : modelName(shadow.judge),
            margin: shadow.margin,
            maxPairs: shadow.maxPairs,
            allowExternal: shadow.allowExternal,
          },
    canary: canary === undefined ? null : { ...canary, steps: canary.steps.map(share) },
    gates: {
      errors: gates?.errors ?? null,
      firstToken: gates?.firstToken ?? null,
      perToken: gates?.perToken ?? null,
      feedback: gates?.feedback ?? null,
    },
    hooks: hooks.map(({ kind, url, secret }) => ({ kind, url, secret: secret ?? null })),
    onTimeout,
  }
}

const barePolicy: Omit<Policy, 'name'> = {
  ...{ room: 'beside', smoke: null, golden: null, shadow: null, canary: null },
  gates: { errors: null, firstToken: null, perToken: null, feedback: null },
  ...{ hooks: [], onTimeout: 'hold' },
}
