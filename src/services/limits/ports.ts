/** What limits ask of the world. */
import type { Call, Reply } from '../../domain/limits/index.ts'

/**
 * Counts that several gateways share. It is one for all of them, keeps the time by its own clock, and holds everything of
 * a gateway until that gateway tells otherwise. The rules are W1… in src/domain/limits/SPEC.md. Spoken to by one caller,
 * one command at a time.
 */
export interface SharedCounts {
  /** Connects anew, within a second. Rejects with what a person can act on; never with a password. */
  reach(): Promise<void>
  /**
   * Carries a command out, or not: one that comes late does nothing. Rejects after 100 ms without an answer, or when the
   * connection is lost; then it has to be reached again.
   */
  exchange(call: Call): Promise<Reply>
  close(): Promise<void>
}
