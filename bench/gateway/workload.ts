/** What every system is given, the same for all: `reference` sizes of a short chat. */
export const model = 'bench'
export const path = '/v1/chat/completions'
export const streams = 200
export const chunksPerStream = 50
/** Of a long answer: what begins and ends a stream is a fifth as much of it. */
export const longChunks = 250
export const chunkGapMs = 20

/** The mock looks for it: such a stream has one chunk, and then silence. */
export const idleMark = 'bench-idle-stream'
export const renderIdleBody = (): string =>
  JSON.stringify({ model, messages: [{ role: 'user', content: idleMark }], stream: true })

/** About 1.08 KB of JSON. `chunks`: of a stream, when it has not as many as most. */
export function renderBody(stream: boolean, chunks = chunksPerStream): string {
  const content = 'Explain how a gateway relays the answers of a model server, and what it costs. '.repeat(12).trimEnd()
  return JSON.stringify({
    model,
    messages: [
      { role: 'system', content: 'You are a helpful assistant.' },
      { role: 'user', content },
    ],
    // Written without spaces: the mock looks for these bytes.
    ...(stream ? { stream: true } : {}),
    ...(chunks === chunksPerStream ? {} : { max_tokens: chunks }),
  })
}
