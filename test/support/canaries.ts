/** Canaries: distinctive secrets that are searched for in everything that a run left, said or answered. */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'

export function everythingIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).map(entry => join(entry.parentPath, entry.name))
}

export const filesIn = (folder: string): string[] => everythingIn(folder).filter(path => statSync(path).isFile())

/** Where each canary is, as it is or in base64 (at any of the three offsets), one line for each find. */
export function findIn(places: Record<string, Buffer>, canaries: Record<string, string>): string[] {
  return Object.entries(places).flatMap(([place, bytes]) =>
    Object.entries(canaries).flatMap(([name, canary]) =>
      formsOf(canary).flatMap(form => (bytes.includes(form) ? [`${name} in ${place}`] : [])),
    ),
  )
}

function formsOf(canary: string): string[] {
  const base64 = [0, 1, 2].map(offset => {
    const text = Buffer.from('.'.repeat(offset) + canary)
      .toString('base64')
      .replaceAll('=', '')
    // The first and last characters depend on the neighbours.
    return text.slice(offset === 0 ? 0 : offset + 1, -2)
  })
  const hex = Buffer.from(canary).toString('hex')
  return [canary, ...base64, encodeURIComponent(canary), hex, hex.toUpperCase()]
}
