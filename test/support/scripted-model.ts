/** A model that answers as a function says: for judges that have an opinion, and candidates that fail now and then. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { z } from 'zod'

const Body = z.looseObject({
  messages: z.array(z.looseObject({ role: z.string(), content: z.unknown() })),
  stream: z.boolean().optional(),
})
type Asked = { messages: { role: string; content: unknown }[]; n: number }
type Said = { text: string } | { status: number }

export type ScriptedModel = {
  /** Without `/v1`. */
  url: string
  /** How many chats it was asked for. */
  asked(): number
  close(): Promise<void>
}

/** `n` counts from 1. One model, whatever it is called. */
export async function startScriptedModel(answer: (asked: Asked) => Said): Promise<ScriptedModel> {
  let n = 0
  const server = createServer((request, response) => {
    serve(request, response).catch(() => response.destroy())
  })

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (request.method === 'GET') return json(response, 200, { object: 'list', data: [{ id: 'm', object: 'model' }] })
    const { messages, stream = false } = Body.parse(JSON.parse(await text(request)))
    const said = answer({ messages, n: ++n })
    if ('status' in said) return json(response, said.status, { error: { message: 'it failed', type: 'server_error' } })
    const base = { id: `c${n}`, created: 1, model: 'm' }
    const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 }
    if (!stream) {
      const message = { role: 'assistant', content: said.text }
      const choices = [{ index: 0, message, finish_reason: 'stop' }]
      return json(response, 200, { ...base, object: 'chat.completion', choices, usage })
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    const chunk = (delta: object, finish: string | null): string => {
      const choices = [{ index: 0, delta, finish_reason: finish }]
      return `data: ${JSON.stringify({ ...base, object: 'chat.completion.chunk', choices })}\n\n`
    }
    response.end(`${chunk({ role: 'assistant', content: said.text }, null)}${chunk({}, 'stop')}data: [DONE]\n\n`)
  }

  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  // Not null, and not the name of a pipe: it listens on a port.
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    asked: () => n,
    async close() {
      server.closeAllConnections()
      await new Promise(resolve => server.close(resolve))
    },
  }
}

/** What a judge is given: both answers, out of their marks; `null`: it is asked for something else. */
export function pairIn({ messages }: Pick<Asked, 'messages'>): { a: string; b: string } | null {
  const given = messages.map(({ content }) => (typeof content === 'string' ? content : '')).join('\n')
  const slot = (name: string): string | undefined =>
    new RegExp(`<<\\S+ answer ${name}>>\\n([\\s\\S]*?)\\n<<\\S+ end of answer ${name}>>`).exec(given)?.[1]
  const [a, b] = [slot('A'), slot('B')]
  return a === undefined || b === undefined ? null : { a, b }
}

function json(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}
