import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Fastify from 'fastify'
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod'
import { afterEach, expect, test } from 'vitest'
import type { LiveSample } from '../../domain/serving/index.ts'
import { modelName, requestId, versionName } from '../../domain/units.ts'
import { sampleRoutes, samplesOver, send, socketLine } from './index.ts'

const toClose: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of toClose.splice(0).toReversed()) await close()
})

async function controller() {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-samples-'))
  const got: LiveSample[][] = []
  const app = Fastify().setValidatorCompiler(validatorCompiler).setSerializerCompiler(serializerCompiler)
  await app.register(sampleRoutes({ onSamples: samples => got.push([...samples]) }))
  const path = join(folder, 'socket')
  await app.listen({ path })
  toClose.push(
    () => rm(folder, { recursive: true }),
    () => app.close(),
  )
  return { line: socketLine(path), got }
}

const sample: LiveSample = {
  id: requestId('r1'),
  ...{ model: modelName('coder'), version: versionName('dev-v1-a-q8-0-p0'), sealed: 'AAAA' },
}

test('samples come as they were sent', async () => {
  const { line, got } = await controller()
  await samplesOver(line)([sample, { ...sample, id: requestId('r2') }])
  expect(got).toEqual([[sample, { ...sample, id: 'r2' }]])
})

test('what is none, and more than is taken at once, is refused', async () => {
  const { line, got } = await controller()
  const type = 'application/json'
  const { sealed: _, ...unsealed } = sample
  for (const samples of [[], [unsealed], Array.from({ length: 9 }, () => sample)])
    expect((await send(line, '/link/v1/samples', { type, bytes: JSON.stringify({ samples }) })).status).toBe(400)
  await expect(samplesOver(line)([])).rejects.toThrow()
  expect(got).toEqual([])
})
