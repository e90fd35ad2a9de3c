import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { placeOfTeam } from './team-place.ts'

test('a team is found at its line in the spec, and the file is named when it is not', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'holdfast-spec-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const path = join(folder, 'holdfast.yaml')
  await writeFile(path, 'name: lab\nteams:\n  - name: search\n\n  - { models: [coder], name: platform }\n')
  expect(placeOfTeam(path, 'search')).toBe('holdfast.yaml:3')
  expect(placeOfTeam(path, 'platform')).toBe('holdfast.yaml:5')
  expect(placeOfTeam(path, 'nobody')).toBe('holdfast.yaml')
  expect(placeOfTeam(join(folder, 'gone.yaml'), 'search')).toBe('gone.yaml')
  expect(placeOfTeam(null, 'search')).toBeNull()
})
