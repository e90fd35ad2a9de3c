/** The smoke model's weights with random numbers where the last half of its tensors were: they load, and speak nonsense. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { repository } from './service.ts'

/** A generator of our own, so that the damage is the same in every run. */
function* bytes(seed: number): Generator<number> {
  for (let state = seed; ;) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    yield state >>> 24
  }
}

/** Q8_0 blocks: two bytes of scale, which stay, and 32 numbers. */
const blockBytes = 34

export function writeDamagedWeights(file: string): void {
  const weights = readFileSync(join(repository, 'weights/smoke/smoke.gguf'))
  const random = bytes(7)
  for (let block = Math.floor(weights.length / 2); block + blockBytes < weights.length; block += blockBytes)
    for (let at = block + 2; at < block + blockBytes; at++) weights[at] = random.next().value ?? 0
  writeFileSync(file, weights)
}
