import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { clients, type ClientSettings } from './clients.ts'

const connection = { url: 'http://127.0.0.1:8080', key: 'sk-hf-x', model: 'coder', embed: null, fim: null }

test('every client is told the address, the key and the model that it needs', () => {
  for (const [name, toSettings] of Object.entries(clients)) {
    const told = JSON.stringify(toSettings(connection).settings)
    expect(told, name).toContain('http://127.0.0.1:8080')
    expect(told, name).toContain('sk-hf-x')
    // OpenWebUI asks which there are.
    if (name !== 'openwebui') expect(told, name).toContain('coder')
  }
})

test('Continue completes code in the way the model was taught, and not at all with one that was not', () => {
  const template = '<|fim_prefix|>{{{prefix}}}<|fim_suffix|>{{{suffix}}}<|fim_middle|>'
  expect(inContinue({ fim: template })).toMatchObject({
    models: [{ roles: ['chat', 'edit', 'apply', 'autocomplete'], autocompleteOptions: { template } }],
  })
  const { models } = inContinue({ fim: null })
  expect(models).toMatchObject([{ roles: ['chat', 'edit', 'apply'] }])
  expect(models[0]).not.toHaveProperty('autocompleteOptions')
})

test('Continue has a model for vectors where there is one', () => {
  const { models } = inContinue({ embed: 'embed' })
  expect(models[1]).toMatchObject({ model: 'embed', apiBase: 'http://127.0.0.1:8080/v1', roles: ['embed'] })
})

function inContinue(change: object): { models: Record<string, unknown>[] } {
  const settings: ClientSettings | undefined = clients['continue']?.({ ...connection, ...change })
  const [file] = settings?.settings ?? []
  if (file?.kind !== 'file') throw new Error('Continue has no file')
  // What Continue itself reads.
  return parse(file.text) as { models: Record<string, unknown>[] }
}
