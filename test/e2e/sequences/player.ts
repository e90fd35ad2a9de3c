/** Plays what was recorded of a program against a service, in its order, and reads every answer as the program would. */
import { eventsOf, hear, type Heard } from './hear.ts'
import { fill, fillText, type Recording, type Scope, type Sequence, type Step } from './recording.ts'

export type PlayOptions = {
  url: string
  key: string
  /** By the recorded name of a model, the name that it has here. */
  models?: Readonly<Record<string, string>>
  /** Called as soon as the program has hung up. */
  onLeave?: () => Promise<void>
}

/** What each step heard, in order. Throws where an answer is none that the program understands. */
export async function play(
  sequence: Sequence,
  recording: Recording,
  { url, key, models = {}, onLeave = async () => {} }: PlayOptions,
): Promise<Heard[]> {
  const heard: Heard[] = []
  for (const group of together(sequence.steps)) {
    const scope: Scope = { key, models, pieces: recording.pieces, heard }
    const answers = await Promise.all(group.map(step => send(step, { url, scope })))
    heard.push(...answers)
    if (group.some(step => step.leaves === true)) await onLeave()
  }
  return heard
}

/** Steps that go out side by side are one group. */
function together(steps: readonly Step[]): Step[][] {
  return steps.reduce<Step[][]>((groups, step) => {
    const last = groups.at(-1)
    if (step.alongside === true && last !== undefined) last.push(step)
    else groups.push([step])
    return groups
  }, [])
}

async function send(step: Step, { url, scope }: { url: string; scope: Scope }): Promise<Heard> {
  const answer = await fetch(`${url}${step.path}`, {
    method: step.method,
    headers: Object.fromEntries(Object.entries(step.headers).map(([name, text]) => [name, headerOf(text, scope)])),
    body: bodyOf(step, scope),
  })
  const told = { method: step.method, path: step.path, status: answer.status }
  if (step.leaves === true) {
    const events = await leaveAfter(answer, step)
    return { ...hear({ ...told, method: 'HEAD', type: '', bytes: Buffer.of() }), events }
  }
  const bytes = Buffer.from(await answer.arrayBuffer())
  return hear({ ...told, type: answer.headers.get('content-type') ?? '', bytes })
}

/** Reads until the answer has come as far as when the program hung up, and hangs up. */
async function leaveAfter(answer: Response, step: Step): Promise<string[]> {
  const decoder = new TextDecoder()
  let sse = ''
  for await (const bytes of answer.body ?? []) {
    sse += decoder.decode(bytes, { stream: true })
    const events = eventsOf(step.path, sse)
    // Leaving the loop ends the connection.
    if (events.length >= step.events.length) return events
  }
  throw new Error(`the answer ended before the program hung up: ${sse.slice(-500)}`)
}

const headerOf = (text: string, scope: Scope): string => String(fillText(text, scope))

function bodyOf({ body, form, headers }: Step, scope: Scope): string | FormData | null {
  if (form !== undefined) {
    const data = new FormData()
    for (const { name, value, file } of form) {
      if (file === undefined) data.append(name, String(fillText(value ?? '', scope)))
      else data.append(name, new Blob([silence()], { type: 'audio/wav' }), file)
    }
    return data
  }
  if (body === undefined) return null
  if (headers['content-type'] === undefined) throw new Error('a body without a type was never sent')
  return JSON.stringify(fill(body, scope))
}

/** A tenth of a second of it, as a WAV file. */
function silence(): Buffer<ArrayBuffer> {
  const samples = Buffer.alloc(3200)
  const header = Buffer.from(
    '524946460000000057415645666d74201000000001000100803e0000007d0000020010006461746100000000',
    'hex',
  )
  header.writeUInt32LE(36 + samples.length, 4)
  header.writeUInt32LE(samples.length, 40)
  return Buffer.concat([header, samples])
}
