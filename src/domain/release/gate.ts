/** A gate as the machine sees it: decided at once; its sentence and estimates are made only when somebody reads them. */
import type { GateReading, Verdict } from './release.ts'

export type Gate = {
  name: string
  verdict: Verdict
  /** Whether promotion waits until it says `promote`; other gates only ever stop. */
  isProof: boolean
  read: () => GateReading
}

export function plainGate(
  name: string,
  verdict: Verdict,
  { said, isProof = false }: { said: string; isProof?: boolean },
): Gate {
  return { name, verdict, isProof, read: () => ({ name, verdict, evidence: said }) }
}
