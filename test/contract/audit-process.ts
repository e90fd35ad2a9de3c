/** Erasure and retention in a process of their own, to be killed: goes on until everything is done, and says so. */
import { writeSync } from 'node:fs'
import { openAuditParts } from './audit-parts.ts'

const [root = '', nowMs = '', olderThanMs = ''] = process.argv.slice(2)
const parts = await openAuditParts({ root, now: () => Number(nowMs) })
writeSync(1, 'begun\n')
await parts.eraseOnce()
await parts.retainFrom(Number(olderThanMs))
await parts.close()
writeSync(1, 'done\n')
