/** Discovery: engines that run on this machine already, on their usual ports. Only loopback is asked. */

export type FoundEngine = { program: string; url: string; models: string[] }

/** Where each program listens when nobody told it otherwise. */
export const usualPorts: readonly { program: string; port: number }[] = [
  { program: 'Ollama', port: 11_434 },
  { program: 'vLLM', port: 8_000 },
  { program: 'llama-server', port: 8_080 },
  { program: 'llama-server', port: 9_931 },
  { program: 'SGLang', port: 30_000 },
]

/** A program on this machine that takes longer is not answering. */
const answerMs = 400
const mostModels = 200

/** Asks all ports at once. `ownPort` is left out. */
export async function findEngines(ports: typeof usualPorts, ownPort: number): Promise<FoundEngine[]> {
  const asked = ports
    .filter(({ port }) => port !== ownPort)
    .map(async ({ program, port }) => {
      const url = `http://127.0.0.1:${port}/v1`
      const models = await listModels(url, null, answerMs).catch(() => null)
      return models === null ? [] : [{ program, url, models }]
    })
  return (await Promise.all(asked)).flat()
}

/** The ids in `GET {url}/models`. Rejects with an Error that says what is wrong with the address. */
export async function listModels(url: string, apiKey: string | null, timeoutMs: number): Promise<string[]> {
  const answer = await fetch(`${url}/models`, {
    signal: AbortSignal.timeout(timeoutMs),
    // The answer of this address counts, and the key is for nobody else.
    redirect: 'manual',
    headers: apiKey === null ? {} : { authorization: `Bearer ${apiKey}` },
  })
  if (!answer.ok) throw new Error(`${url}/models answers ${answer.status}`)
  const body: unknown = await answer.json()
  if (typeof body !== 'object' || body === null || !('data' in body) || !Array.isArray(body.data)) {
    throw new Error(`${url}/models does not answer as an OpenAI-compatible engine does`)
  }
  return (
    body.data
      .flatMap((entry: unknown) =>
        typeof entry === 'object' && entry !== null && 'id' in entry && typeof entry.id === 'string' ? [entry.id] : [],
      )
      // Names are shown on terminals, which obey control characters.
      .filter((id: string) => !/\p{C}/u.test(id))
      .slice(0, mostModels)
  )
}
