/** How far work on a registry is. */

/** `why`: what is being waited for; `null` while bytes come. */
export type RegistryProgress = {
  stage: 'reading' | 'sending' | 'verifying' | 'waiting'
  doneBytes: number
  totalBytes: number
  why: string | null
}

/** Called for every piece: dozens of times a second. */
export type OnRegistryProgress = (progress: RegistryProgress) => void
