/** Sends a talk at its moments, whether or not earlier requests were answered, and times the first token of each. */
import { setTimeout as pause } from 'node:timers/promises'
import type { Ask } from './talk.ts'

export type Target = { url: string; key: string; model: string }
export type Seen = {
  firstTokenMs: number
  /** As the engine tells; null where it does not. */
  promptTokens: number | null
  cachedTokens: number | null
}

const answerMs = 60_000

/** `null` for each that was not answered. */
export async function drive(target: Target, talk: readonly Ask[]): Promise<(Seen | null)[]> {
  const start = performance.now()
  return await Promise.all(
    talk.map(async ask => {
      await pause(Math.max(0, ask.atMs - (performance.now() - start)))
      return await timeOne(target, ask).catch(() => null)
    }),
  )
}

/** Throws when the answer is not a whole stream. */
export async function timeOne({ url, key, model }: Target, { messages }: Ask): Promise<Seen> {
  const start = performance.now()
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { 'authorization': `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({
      model,
      messages,
      stream: true,
      stream_options: { include_usage: true },
      max_tokens: 4,
      temperature: 0,
    }),
    signal: AbortSignal.timeout(answerMs),
  })
  if (!response.ok || response.body === null) throw new Error(`${response.status} ${await response.text()}`)
  let firstTokenMs: number | null = null
  let text = ''
  for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
    text += piece
    if (firstTokenMs === null && /"content": ?"/.test(text)) firstTokenMs = performance.now() - start
  }
  if (firstTokenMs === null || !text.includes('[DONE]')) throw new Error(`No whole answer: ${text.slice(-300)}`)
  return {
    firstTokenMs,
    promptTokens: lastNumber(text, 'prompt_tokens'),
    cachedTokens: lastNumber(text, 'cached_tokens'),
  }
}

function lastNumber(text: string, name: string): number | null {
  const found = [...text.matchAll(new RegExp(`"${name}": ?(\\d+)`, 'g'))].at(-1)?.[1]
  return found === undefined ? null : Number(found)
}
