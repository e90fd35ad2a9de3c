/** Where a bucket is: `https://host/bucket/prefix` (any store, path style) or `s3://bucket/prefix` (AWS, by region). */
import { ArtifactError } from '../../../domain/catalog/index.ts'

export type Bucket = {
  /** Without what opens it. */
  name: string
  bucket: string
  host: string
  region: string
  /** The bucket itself, or an object of it; `query` as it is signed: sorted, encoded. */
  url(path: string | null, query?: Record<string, string>): URL
  /** A path as the store knows it, and back; `null`: it is not one of this registry's. */
  keyOf(path: string): string
  pathOf(key: string): string | null
}

const bucketName = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/i

/** `region`: what requests are signed for; stores that have none take any. */
export function toBucket(address: string, region: string): Bucket {
  const url = URL.canParse(address) ? new URL(address) : null
  const place = url === null ? null : placeOf(url, region)
  if (place === null || !bucketName.test(place.bucket))
    throw new ArtifactError(
      'never',
      `'${address}' names no bucket: write https://<host>/<bucket>, with a folder in it if you like, or s3://<bucket> for AWS`,
    )
  const { origin, bucket, inHost, prefix } = place
  return {
    name:
      url?.protocol === 's3:'
        ? address.replace(/\/+$/, '')
        : `${origin}${inHost ? '' : `/${bucket}`}${shownPrefix(prefix)}`,
    bucket,
    host: new URL(origin).host,
    region,
    url(path, query = {}) {
      const key = path === null ? '' : encodePath(prefix + path)
      const search = Object.entries(query)
        .map(([name, value]) => `${encode(name)}=${encode(value)}`)
        .toSorted()
        .join('&')
      return new URL(
        `${origin}/${inHost ? '' : `${encode(bucket)}${key === '' ? '' : '/'}`}${key}${search === '' ? '' : `?${search}`}`,
      )
    },
    keyOf: path => prefix + path,
    pathOf: key => (key.startsWith(prefix) ? key.slice(prefix.length) : null),
  }
}

type Place = { origin: string; bucket: string; inHost: boolean; prefix: string }

function placeOf(url: URL, region: string): Place | null {
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') return null
  const folders = decodeURIComponent(url.pathname)
    .split('/')
    .filter(part => part !== '')
  if (url.protocol === 's3:') return atAws(url.hostname, folders, region)
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return null
  // As AWS's console shows it: the bucket is in the host's name.
  const [, inHost] = /^(.+)\.s3[.-][a-z0-9.-]*amazonaws\.com(?:\.cn)?$/.exec(url.hostname) ?? []
  if (inHost !== undefined) return { origin: url.origin, bucket: inHost, inHost: true, prefix: toPrefix(folders) }
  const [bucket = '', ...rest] = folders
  return { origin: url.origin, bucket, inHost: false, prefix: toPrefix(rest) }
}

function atAws(bucket: string, folders: string[], region: string): Place {
  const host = `s3.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`
  // A certificate for *.s3.… is not one for a name with dots before it.
  const inHost = !bucket.includes('.')
  return { origin: `https://${inHost ? `${bucket}.` : ''}${host}`, bucket, inHost, prefix: toPrefix(folders) }
}

const toPrefix = (folders: string[]): string => folders.map(folder => `${folder}/`).join('')
const shownPrefix = (prefix: string): string => (prefix === '' ? '' : `/${prefix.slice(0, -1)}`)
const encodePath = (path: string): string => path.split('/').map(encode).join('/')

/** AWS's UriEncode: everything but letters, digits and `-._~`. */
const encode = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, character => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)
