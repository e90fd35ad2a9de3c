/** Whom evaluation asks: any address, or the service of this state folder. */
import { randomUUID } from 'node:crypto'
import { listModels, type Address, type ListedModel } from '../../../adapters/openai-client/index.ts'
import { AskError } from '../../../services/evaluate/index.ts'
import { CliError, locateService } from '../client.ts'
import type { CliIo } from '../output.ts'

/** `timeout` in seconds. */
export type Where = { url?: string; key?: string; timeout: number }

/** A key found in the state folder is for this service, and goes nowhere else. */
export function addressOf({ url, key, timeout }: Where, io: CliIo): Omit<Address, 'model'> {
  const timeoutMs = timeout * 1000
  if (url === undefined) {
    const service = locateService({ env: io.env })
    return { url: service.url, key: key ?? service.key, timeoutMs }
  }
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
    throw new CliError(`--url is '${url}'; it should look like http://127.0.0.1:8080.`, 2)
  const given = key ?? io.env['HOLDFAST_KEY']
  return { url: url.replace(/\/+$/, '').replace(/\/v1$/, ''), key: given || null, timeoutMs }
}

/** Asked before anything else, so that a mistyped name is told at once. Empty: the address does not list its models. */
export async function findModels(
  address: Omit<Address, 'model'>,
  named: readonly (string | undefined)[],
  signal: AbortSignal,
): Promise<readonly ListedModel[]> {
  const listed = await listModels(address, signal).catch((error: unknown) => {
    if (error instanceof AskError) throw new CliError(`No model was asked: ${error.message}.`, 1, { cause: error })
    throw error
  })
  if (listed === null || listed.length === 0) return []
  const wanted = named.filter(name => name !== undefined)
  const missing = wanted.find(name => !listed.some(each => each.name === name))
  if (missing === undefined) return listed
  const names = listed.map(each => each.name).join(', ')
  throw new CliError(`${address.url} has no model '${missing}' for this key; it has ${names}.`, 2)
}

export const nameOf = (model: string | undefined, listed: readonly ListedModel[]): string | null =>
  model === undefined ? null : (listed.find(each => each.name === model)?.version ?? model)

export const newNonce = (): string => randomUUID().replaceAll('-', '').slice(0, 16)
export const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : String(error)
