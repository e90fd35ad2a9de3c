/** The kind nexus in the suite of all places: against Nexus as it is documented, under the policies that let one write. */
import { afterAll, beforeAll } from 'vitest'
import { openNexus } from '../../src/adapters/registry/nexus/index.ts'
import { startFakeNexus, type FakeNexus } from '../../tools/fake-nexus/index.ts'
import { describePlace } from './object-place.ts'

const user = 'ada:canary'

for (const settings of [
  { writePolicy: 'allow_once', release: '3.96' },
  { writePolicy: 'allow_once', release: '3.71' },
  { writePolicy: 'allow', release: '3.96' },
] as const) {
  let nexus: FakeNexus
  beforeAll(async () => {
    nexus = await startFakeNexus({ ...settings, user })
  })
  afterAll(() => nexus.close())

  describePlace(`Nexus ${settings.release}, ${settings.writePolicy}`, {
    open: () =>
      openNexus({
        url: `${nexus.url}/registry`,
        token: user,
        tell: () => undefined,
        settleMs: { refusing: 50, replacing: 200 },
      }),
    secret: 'canary',
  })
}
