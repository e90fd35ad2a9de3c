/** A writer of one large object, in a process of its own, to be killed: says how many bytes have come to rest. */
import { writeSync } from 'node:fs'
import { openS3 } from '../../src/adapters/registry/s3/index.ts'
import { readBytes } from './registry-bytes.ts'

const [url = '', path = '', seed = ''] = process.argv.slice(2)
const place = openS3({
  url,
  region: 'us-east-1',
  credentials: { accessKeyId: 'a', secretAccessKey: 'b', sessionToken: null },
  tell: () => undefined,
  partBytes: 5 * 1024 * 1024,
})
// Straight to the pipe: what stdout still buffered would die with the process.
const upload = { ...readBytes(seed), onProgress: (done: number) => void writeSync(1, `${done}\n`) }
await place.write(path, upload, new AbortController().signal)
