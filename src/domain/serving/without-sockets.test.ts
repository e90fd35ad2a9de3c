import { expect, test } from 'vitest'
import { replicaId, versionName } from '../units.ts'
import type { ReplicaRoute, Snapshot } from './snapshot.ts'
import { withoutSockets } from './without-sockets.ts'

const replica = (id: string, address: ReplicaRoute['address']): ReplicaRoute => ({
  id: replicaId(id),
  address,
  metrics: null,
  apiKey: null,
  backup: false,
  weight: 1,
  places: null,
  managed: false,
})

test('replicas on a socket of the controller’s machine are left out, each with a reason; the rest is as it was', () => {
  const far = replica('far', { url: 'http://10.0.0.2:8000/v1' })
  const version = { name: versionName('dev-v1.0-smoke-2m-q8-0-p0'), replicas: [replica('near', { socket: '/s' }), far] }
  // Only what is looked at here.
  const snapshot = { id: 's1', service: 'lab', versions: [version] } as unknown as Snapshot
  const { usable, left } = withoutSockets(snapshot)
  expect(usable).toEqual({ id: 's1', service: 'lab', versions: [{ name: version.name, replicas: [far] }] })
  expect(left).toEqual([expect.stringMatching(/near of dev-v1\.0-smoke.*controller's machine/)])
})
