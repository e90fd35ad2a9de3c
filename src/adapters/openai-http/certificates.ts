/** The certificates that the gateway shows and asks for, read anew when their files change. */
import { X509Certificate } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { createSecureContext, createServer, type Server } from 'node:tls'
import type { Edge } from '../../domain/serving/index.ts'

export type TlsFiles = NonNullable<Edge['tls']>

export type Certificates = { close(): void }

export type CertificatesParts = {
  files: TlsFiles
  /** Shakes hands with the pair that the files have now: give it sockets. */
  onServer: (server: Server) => void
  /** The files can't be used; what worked before goes on. */
  onProblem: (problem: string) => void
}

const lookEveryMs = 5_000
/** As long as a head may take. */
const handshakeMs = 10_000

/** Reads them now. A server of its own for each pair: no session of an earlier one is resumed. */
export function openCertificates({ files, onServer, onProblem }: CertificatesParts): Certificates {
  let seen = ''
  const timer = setInterval(look, lookEveryMs).unref()
  look()
  return { close: () => clearInterval(timer) }

  function look(): void {
    const stamp = stampOf(files)
    if (stamp === seen) return
    seen = stamp
    try {
      onServer(open(files))
    } catch (error) {
      onProblem(error instanceof Error ? error.message : String(error))
    }
  }
}

/** Why these files can't be used, with what to do; `null`: they can. */
export function certificateProblem(files: TlsFiles): string | null {
  try {
    readPair(files)
    return null
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

function open(files: TlsFiles): Server {
  const { cert, key, ca } = readPair(files)
  return createServer({
    ...{ cert, key, minVersion: 'TLSv1.2', ALPNProtocols: ['http/1.1'], handshakeTimeout: handshakeMs },
    // Who shows none is told so in HTTP, and health is for everybody.
    ...(ca === null ? {} : { ca, requestCert: true, rejectUnauthorized: false }),
  })
}

type Pair = { cert: Buffer; key: Buffer; ca: Buffer | null }

function readPair({ cert: certPath, key: keyPath, clientCa }: TlsFiles): Pair {
  const cert = readPart('gateway.tls.cert', certPath)
  const key = readPart('gateway.tls.key', keyPath)
  const ca = clientCa === null ? null : readPart('gateway.tls.clientCa', clientCa)
  const said = (error: unknown): string => (error instanceof Error ? error.message : String(error))
  for (const [name, path, pem] of [
    ['cert', certPath, cert],
    ['clientCa', clientCa, ca],
  ] as const) {
    if (pem === null) continue
    try {
      void new X509Certificate(pem)
    } catch (error) {
      throw new Error(`gateway.tls.${name}: ${path} has no certificate in PEM (${said(error)}).`, { cause: error })
    }
  }
  try {
    createSecureContext({ cert, key })
  } catch (error) {
    const problem = `gateway.tls: ${certPath} and ${keyPath} can't be used together (${said(error)}). The key must be the certificate's own, in PEM and without a passphrase.`
    throw new Error(problem, { cause: error })
  }
  return { cert, key, ca }
}

function readPart(name: string, path: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    const why = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    throw new Error(`${name}: ${path} can't be read (${why}).`, { cause: error })
  }
}

/** Follows links, as whoever renews certificates swaps them. */
function stampOf({ cert, key, clientCa }: TlsFiles): string {
  return [cert, key, clientCa ?? '']
    .map(path => {
      const stat = path === '' ? undefined : statSync(path, { throwIfNoEntry: false, bigint: true })
      return stat === undefined ? '' : `${stat.ino} ${stat.size} ${stat.mtimeNs} ${stat.ctimeNs}`
    })
    .join('\n')
}
