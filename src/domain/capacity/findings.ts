/** A finding: something about the fleet that is wrong, risky or only estimated, and what to do. */
export type Finding = {
  host: string | null
  gpu: string | null
  replica?: string
  /** `mistake`: the spec can't be true. `risk`: it may go wrong. `estimate`: it was guessed. `advice`: it could be better. */
  level: 'mistake' | 'risk' | 'estimate' | 'advice'
  topic: 'hardware' | 'memory' | 'power' | 'cooling' | 'pcie' | 'numa' | 'hugepages' | 'sharing' | 'mig' | 'model'
  what: string
  remedy: string
}
