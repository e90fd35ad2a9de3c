/** Large contents that two processes make alike. */
import { createCipheriv, createHash } from 'node:crypto'
import type { Upload } from '../../src/services/registry/index.ts'

const mebibyte = 1024 * 1024

/** 17 MiB and a few bytes: of parts of 5 MiB the last one is short. */
export function readBytes(seed: string): Omit<Upload, 'onProgress'> & { content: Buffer } {
  const key = createHash('sha256').update(seed).digest()
  const content = createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(17 * mebibyte + 77))
  return {
    content,
    bytes: content.length,
    sha256: createHash('sha256').update(content).digest('hex'),
    async *open({ from, to }) {
      for (let at = from; at < to; at += 65_536) yield content.subarray(at, Math.min(to, at + 65_536))
    },
  }
}
