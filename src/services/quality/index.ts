/** Marks for live traffic: gateways send samples (`openSampleSender`), the controller has them marked (`openMarker`). */
export { openMarker } from './mark-samples.ts'
export type { Marker } from './mark-samples.ts'
export { openSample } from './samples.ts'
export { openSampleSender } from './send-samples.ts'
