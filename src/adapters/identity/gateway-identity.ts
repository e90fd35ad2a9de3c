/** Who a gateway is: its key, made on its machine and staying there, and the certificate that a service gave it for it. */
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  sign,
  verify,
  X509Certificate,
} from 'node:crypto'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { writeDurably } from './write-durably.ts'

const Joined = z.object({
  id: z.string(),
  /** PEM. */
  certificate: z.string(),
  /** PEM of the authority: the only one believed. */
  authority: z.string(),
  /** `host:port` of each controller. */
  controllers: z.array(z.string()).min(1),
  /** Hash of the token's secret that it joined with: given again, it is not used again. */
  joinedWith: z.string(),
})
export type Joined = z.output<typeof Joined>

export type GatewayIdentity = {
  /** PEM. */
  publicKey: string
  key: string
  /** `null`: it has not joined a service. Throws when the file is damaged. */
  joined(): Joined | null
  save(joined: Joined): void
  /** That this gateway has the key, for one occasion. */
  prove(occasion: string): string
}

/** Makes the key when there is none. */
export function openGatewayIdentity(folder: string): GatewayIdentity {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const keyFile = join(folder, 'key.pem')
  const joinedFile = join(folder, 'joined.json')
  if (!existsSync(keyFile)) {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    writeDurably(keyFile, privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())
  }
  const key = readFileSync(keyFile, 'utf8')
  const privateKey = createPrivateKey(key)
  const publicKey = createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }).toString()

  return {
    publicKey,
    key,
    joined() {
      if (!existsSync(joinedFile)) return null
      const read = Joined.safeParse(tryJson(readFileSync(joinedFile, 'utf8')))
      if (read.success) return read.data
      throw new Error(`${joinedFile} is damaged: remove it and join again, with a new token (holdfast gateway token).`)
    },
    save(joined) {
      writeDurably(joinedFile, JSON.stringify(joined))
    },
    prove: occasion => sign('sha256', Buffer.from(occasion), privateKey).toString('base64'),
  }
}

/** The controller's side of `prove`. False also for what is no key of this kind. */
export function isProof({
  publicKey,
  proof,
  occasion,
}: {
  publicKey: string
  proof: string
  occasion: string
}): boolean {
  try {
    const key = createPublicKey(publicKey)
    const isOurKind = key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1'
    return isOurKind && verify('sha256', Buffer.from(occasion), key, Buffer.from(proof, 'base64'))
  } catch {
    return false
  }
}

/** SHA-256 of a public key (PEM), hex: whoever has the same key is the same gateway. Throws for what is no key. */
export const hashPublicKey = (publicKey: string): string =>
  createHash('sha256')
    .update(createPublicKey(publicKey).export({ type: 'spki', format: 'der' }))
    .digest('hex')

/** A certificate is renewed once two thirds of its life are over. */
export function isDue(certificate: string, now: number): boolean {
  const { validFromDate, validToDate } = new X509Certificate(certificate)
  return now >= validToDate.getTime() - (validToDate.getTime() - validFromDate.getTime()) / 3
}

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
