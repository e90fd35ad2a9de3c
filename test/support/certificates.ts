/** Certificates for tests, made by openssl. */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Paths of PEM files. */
export type Pair = { cert: string; key: string }

const openssl = (...args: string[]): void => void execFileSync('openssl', args, { stdio: 'pipe' })
const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']

/** Signs itself: an authority. */
export function makeAuthority(folder: string, name: string): Pair {
  const pair = pairIn(folder, name)
  const constraints = ['-addext', 'basicConstraints=critical,CA:TRUE']
  openssl(
    'req',
    '-x509',
    ...curve,
    '-keyout',
    pair.key,
    '-out',
    pair.cert,
    '-days',
    '2',
    '-subj',
    `/CN=${name}`,
    ...constraints,
  )
  return pair
}

/** Of an authority, for `localhost` and 127.0.0.1. */
export function makeCertificate(folder: string, name: string, authority: Pair): Pair {
  const pair = pairIn(folder, name)
  const [request, extensions] = [join(folder, `${name}.csr`), join(folder, `${name}.ext`)]
  writeFileSync(extensions, 'subjectAltName=DNS:localhost,IP:127.0.0.1\n')
  openssl('req', '-new', ...curve, '-keyout', pair.key, '-out', request, '-subj', `/CN=${name}`)
  const by = ['-CA', authority.cert, '-CAkey', authority.key, '-CAcreateserial']
  openssl('x509', '-req', '-in', request, ...by, '-out', pair.cert, '-days', '2', '-extfile', extensions)
  return pair
}

const pairIn = (folder: string, name: string): Pair => ({
  cert: join(folder, `${name}.pem`),
  key: join(folder, `${name}.key`),
})
