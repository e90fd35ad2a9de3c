/** A snapshot for a gateway on another machine than its controller. */
import type { Snapshot } from './snapshot.ts'

/** Leaves out the replicas that answer on a Unix socket of the controller's machine. `left`: which, and why, in words. */
export function withoutSockets(snapshot: Snapshot): { usable: Snapshot; left: string[] } {
  const left: string[] = []
  const versions = snapshot.versions.map(version => ({
    ...version,
    replicas: version.replicas.filter(({ id, address }) => {
      if ('url' in address) return true
      left.push(
        `the replica ${id} of ${version.name} is an embedded engine on the controller's machine: only the gateway there can use it. Give the version a replica with a url to serve it here too`,
      )
      return false
    }),
  }))
  return { usable: { ...snapshot, versions }, left }
}
