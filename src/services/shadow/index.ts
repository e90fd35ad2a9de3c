/** Shadow pairs on their way: gateways send (`openPairSender`), the controller opens (`newSealKeys`, `openTexts`). */
export { openTexts } from './pairs.ts'
export { newSealKeys, openSealed, sealText } from './seal.ts'
export type { SealKeys } from './seal.ts'
export { openPairSender } from './send-pairs.ts'
export type { PairSender } from './send-pairs.ts'
