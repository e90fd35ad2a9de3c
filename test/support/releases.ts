/** A model in release, for gateways in the test's own process. */
import {
  plainModel,
  unknownCost,
  type ReleaseRoute,
  type ReplicaRoute,
  type VersionRoute,
} from '../../src/domain/serving/index.ts'
import { releaseId, replicaId, share, versionName } from '../../src/domain/units.ts'
import type { GatewayOptions, TestGateway } from './in-process-gateway.ts'

export const testCandidate = versionName('dev-v1.1-fake-fp16-p2')

/** `coder` with a candidate at these addresses, which answers everything unless `release` says otherwise. */
export function inRelease(
  urls: readonly string[],
  release: Partial<ReleaseRoute> = {},
  replica: Partial<ReplicaRoute> = {},
): Pick<GatewayOptions, 'model' | 'also'> {
  const whole: ReleaseRoute = {
    id: releaseId('0190a6f0-0000-7000-8000-000000000001'),
    candidate: testCandidate,
    step: 1,
    share: share(1),
    stick: 'conversation',
    salt: 'salt of the test',
    shadow: null,
    ...release,
  }
  const version: VersionRoute = {
    name: testCandidate,
    engine: 'openai',
    servedName: null,
    task: 'chat',
    sampling: {},
    cost: unknownCost,
    prompt: { id: 'p2', text: '', mode: 'prepend' },
    replicas: urls.map((url, i) => ({
      id: replicaId(`c${i}`),
      address: { url: `${url}/v1` },
      metrics: null,
      apiKey: null,
      backup: false,
      weight: 1,
      places: null,
      managed: false,
      ...replica,
    })),
  }
  return { model: { ...plainModel, release: whole }, also: { models: [], versions: [version] } }
}

/** What the controller does to `coder`'s release; `null`: it is rolled back, and its version is gone. */
export function changeRelease({ use, snapshot }: TestGateway, change: Partial<ReleaseRoute> | null): void {
  const { models, versions } = snapshot()
  const changed = models.map(model => ({
    ...model,
    release: change === null || model.release === null ? null : { ...model.release, ...change },
  }))
  use({ models: changed, versions: change === null ? versions.filter(({ name }) => name !== testCandidate) : versions })
}
