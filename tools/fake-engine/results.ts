/** Answers that are made at once: embeddings, rankings, sound and what was said in it. */
import { decideAnswer, rank, toSound, toVector } from './answer.ts'
import type { Behaviour } from './behaviour.ts'
import type { Dialect, Reply } from './dialects/index.ts'
import type { Ask } from './request.ts'

type Wanted = { ask: Ask; behaviour: Behaviour; dialect: Dialect }

export function renderResult(wanted: Wanted): Reply {
  const { ask, behaviour, dialect } = wanted
  switch (ask.route) {
    case 'embedding':
      return embed(wanted)
    case 'rerank':
      return { status: 200, body: dialect.rerank(ask, rank(ask)) }
    case 'transcription':
      return transcribe(ask, behaviour)
    case 'speech': {
      const type = ask.format === 'mp3' ? 'audio/mpeg' : `audio/${ask.format}`
      return { status: 200, body: toSound(ask.inputs[0] ?? '', ask.format), type }
    }
    case 'chat':
    case 'completion':
    case 'infill':
    case 'tokenize':
    case 'template':
    case 'count':
      throw new Error(`An answer to ${ask.route} is not made at once.`)
    default:
      return ask.route satisfies never
  }
}

function embed({ ask, behaviour, dialect }: Wanted): Reply {
  const packed = ask.base64 && dialect.takesBase64
  const vectors = ask.inputs.map(input => toVector(input, ask, packed))
  const fields = Object.entries(dialect.embeddings(ask, vectors))
  const told = behaviour.noUsage ? fields.filter(([name]) => name !== 'usage') : fields
  return { status: 200, body: Object.fromEntries(told) }
}

function transcribe(ask: Ask, behaviour: Behaviour): Reply {
  const text = decideAnswer({ ...ask, route: 'completion' }, behaviour).pieces.join('')
  if (ask.format === 'text') return { status: 200, body: text }
  if (ask.format !== 'verbose_json')
    return { status: 200, body: { text, ...(behaviour.noUsage ? {} : { usage: { type: 'duration', seconds: 1 } }) } }
  const segments = [{ id: 0, seek: 0, start: 0, end: 1, text, tokens: [], avg_logprob: 0, no_speech_prob: 0 }]
  return { status: 200, body: { task: 'transcribe', language: 'en', duration: 1, text, segments } }
}
