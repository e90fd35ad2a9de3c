/** Shipping: a gateway elsewhere keeps its journal until the controller has it, byte for byte, on its own disk. */
import type { JournalReader, Position } from './ports.ts'

/** How far the controller has an epoch. `ended`: all of it. */
export type Shipped = { epoch: string; at: Position; ended: boolean }
/** Whole lines of an epoch, from a place on. */
export type Shipment = { epoch: string; at: Position; bytes: Uint8Array }

/** The journal of the gateway that ships it. Nothing is removed that the controller does not have. */
export interface ShippableJournal extends Pick<JournalReader, 'epochs' | 'read' | 'settle'> {
  /** What stands after a position, in all segments. */
  bytesAfter(epoch: string, at: Position): Promise<number>
  /** Removes an epoch that has ended. */
  remove(epoch: string): Promise<void>
  /** Removes the segments before this one. */
  removeBefore(epoch: string, segment: number): Promise<void>
}

/** The controller, as a gateway that ships sees it. Rejects when it is away or can't take more now. */
export interface Depot {
  /** Of these epochs, the ones that it knows. */
  held(epochs: readonly string[]): Promise<Shipped[]>
  /** Resolves once the bytes are on its disk, or with where to go on instead. */
  send(shipment: Shipment): Promise<Shipped>
}

/** The controller's own side. */
export interface DepotStore {
  held(gateway: string, epochs: readonly string[]): Shipped[]
  /** As `send`. `null`: the epoch is another's. Throws FaultError `journal-full` when the disk takes no more. */
  take(gateway: string, shipment: Shipment): Promise<Shipped | null>
}
