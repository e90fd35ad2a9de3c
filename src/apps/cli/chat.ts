/** `holdfast chat`: talk to a model from the terminal, as it streams. */
import { createInterface } from 'node:readline/promises'
import type { Command } from 'commander'
import { CliError, openClient, type Client } from './client.ts'
import { examples, processIo, type CliIo } from './output.ts'
import { wholeNumber } from './whole-number.ts'

type Message = { role: 'system' | 'user' | 'assistant'; content: string }
type Flags = { model?: string; system?: string; maxTokens?: number; json?: boolean }

export function registerChat(program: Command, io: CliIo = processIo): void {
  program
    .command('chat')
    .description('Talk to a model. With a message: one answer. Without: a conversation (end it with Ctrl-D).')
    .argument('[message...]', 'What to say.')
    .option('--model <name>', 'The model (default: the first one the key may use).')
    .option('--system <text>', 'A system prompt of your own.')
    .option('--max-tokens <n>', 'Longest answer, in tokens.', wholeNumber(1, 1_000_000))
    .option('--json', 'One message only: the whole answer as JSON.')
    .addHelpText('after', examples('chat "What is the capital of France?"', 'chat --model smoke'))
    .action(async (words: string[], flags: Flags) => {
      const client = openClient({ env: io.env })
      const model = flags.model ?? (await firstModel(client))
      const messages: Message[] = flags.system === undefined ? [] : [{ role: 'system', content: flags.system }]
      const body = { model, ...(flags.maxTokens === undefined ? {} : { max_tokens: flags.maxTokens }) }
      if (words.length > 0) {
        messages.push({ role: 'user', content: words.join(' ') })
        if (flags.json === true)
          io.out(JSON.stringify(await client.request('POST', '/v1/chat/completions', { ...body, messages })))
        else await answer(client, { ...body, messages })
        return
      }
      if (flags.json === true) throw new CliError('--json takes one message: holdfast chat --json "…"', 2)
      await converse(client, body, messages)
    })
}

async function converse(client: Client, body: object, messages: Message[]): Promise<void> {
  const terminal = process.stdin.isTTY === true
  const lines = createInterface({ input: process.stdin, ...(terminal ? { output: process.stdout, prompt: '> ' } : {}) })
  lines.prompt()
  for await (const line of lines) {
    if (line.trim() !== '') {
      messages.push({ role: 'user', content: line })
      messages.push({ role: 'assistant', content: await answer(client, { ...body, messages }) })
    }
    if (terminal) lines.prompt()
  }
}

/** Prints the answer piece by piece and resolves with the whole of it. */
async function answer(client: Client, body: object): Promise<string> {
  let text = ''
  for await (const data of client.stream('/v1/chat/completions', { ...body, stream: true })) {
    const piece = pieceOf(data)
    text += piece
    process.stdout.write(piece)
  }
  process.stdout.write('\n')
  return text
}

function pieceOf(data: unknown): string {
  const chunk = data as { choices?: { delta?: { content?: string | null } }[]; error?: { message: string } }
  if (chunk.error !== undefined) throw new CliError(`\n${chunk.error.message}`, 1)
  return chunk.choices?.[0]?.delta?.content ?? ''
}

async function firstModel(client: Client): Promise<string> {
  const { models } = (await client.request('GET', '/v1/models')) as { models: { name: string }[] }
  const [first] = models
  if (first === undefined)
    throw new CliError('This key may use no model. Ask your administrator, or see holdfast key list.', 1)
  return first.name
}
