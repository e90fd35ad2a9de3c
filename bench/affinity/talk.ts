/** The load: conversations in groups that share a system prompt, at moments drawn once. The same seed is the same load. */

export type Ask = { atMs: number; messages: readonly { role: 'system' | 'user' | 'assistant'; content: string }[] }

export const groups = 8
export const conversationsPerGroup = 3
const systemLetters = 3600
const turnLetters = 120
/** So that prompts stay within an engine's context. */
const mostTurns = 6

const words = (
  'the of and to in is that for it was on are as with they be at one have this from had not but what all were when we there ' +
  'can an your which their said if do will each about how up out them then she many some so these would other into has more'
).split(' ')

/** `count` requests, on average `everyMs` apart (arrivals of a Poisson process). Answers in the histories are given ones. */
export function drawTalk({ seed, count, everyMs }: { seed: number; count: number; everyMs: number }): Ask[] {
  const draw = openDraw(seed)
  const systems = Array.from({ length: groups }, () => drawText(draw, systemLetters))
  const histories = Array.from({ length: groups * conversationsPerGroup }, (): Ask['messages'] => [])
  let atMs = 0
  return Array.from({ length: count }, () => {
    const place = Math.floor(draw() * histories.length)
    const before = histories[place] ?? []
    const turns = before.length >= mostTurns * 2 ? [] : before
    const asked = [...turns, { role: 'user', content: drawText(draw, turnLetters) } as const]
    histories[place] = [...asked, { role: 'assistant', content: drawText(draw, turnLetters) }]
    atMs += -Math.log(1 - draw()) * everyMs
    return { atMs, messages: [{ role: 'system', content: systems[place % groups] ?? '' }, ...asked] }
  })
}

/** Prompts of this load that share nothing with it, nor with each other: what reading one whole costs. */
export function drawStrangers(count: number): Ask[] {
  return Array.from({ length: count }, (_, index) => drawTalk({ seed: 900_000 + index, count: 1, everyMs: 0 })).flat()
}

function drawText(draw: () => number, letters: number): string {
  let text = ''
  while (text.length < letters) text += `${words[Math.floor(draw() * words.length)] ?? ''} `
  return text.slice(0, letters)
}

/** Numbers in [0, 1), always the same for a seed (mulberry32). */
function openDraw(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}
