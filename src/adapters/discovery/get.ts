/** A GET to an engine that may be anything: bounded in time and bytes, and answered by nobody else. */

export type Ask = { apiKey: string | null; signal: AbortSignal }

const mostBytes = 1024 * 1024

/** Rejects when there is no answer in time, or one that is too large. */
export async function getText(url: string, { apiKey, signal }: Ask): Promise<{ status: number; text: string }> {
  const answer = await fetch(url, {
    signal,
    // The answer of this address counts, and the key is for nobody else.
    redirect: 'manual',
    headers: apiKey === null ? {} : { authorization: `Bearer ${apiKey}` },
  })
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of answer.body ?? []) {
    text += decoder.decode(chunk, { stream: true })
    if (text.length > mostBytes) throw new Error(`${url} answers with more than ${mostBytes} bytes`)
  }
  return { status: answer.status, text }
}

/** `undefined`: no answer of 200 that is JSON. Never rejects. */
export async function getJson(url: string, ask: Ask): Promise<unknown> {
  try {
    const { status, text } = await getText(url, ask)
    return status === 200 ? JSON.parse(text) : undefined
  } catch {
    return undefined
  }
}

/** `undefined` when the value is no object or lacks the field. */
export function field(value: unknown, name: string): unknown {
  // A record after the check; its fields stay unknown.
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined
}
