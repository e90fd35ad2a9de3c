/** What every store of marks does: the same sentences over each adapter. */
import { afterEach, describe, expect, test } from 'vitest'
import type { AuditStore, FeedbackRecord, RequestStore } from '../../src/domain/journal/index.ts'
import type { LiveMark, QualityStore } from '../../src/domain/quality/index.ts'
import { instant, keyId, modelName, requestId, versionName } from '../../src/domain/units.ts'
import { aClose } from './records.ts'

type Opened = { quality: QualityStore; requests: RequestStore; audit: AuditStore; close: () => Promise<void> }

const [coder, chat] = [modelName('coder'), modelName('chat')]
const version = versionName('dev-v1-a-q8-0-p0')
const idOf = (n: number) => requestId(`0199f0c8-0000-7000-8000-2000000000${String(n).padStart(2, '0')}`)

const markOf = (n: number, more: Partial<LiveMark> = {}): LiveMark => ({
  ...{ request: idOf(n), at: instant(1_000 + n), model: coder, version, mark: 7.25, calls: 1, unparsable: 0 },
  judge: { name: 'dev-v1-judge-q8-0-p0', digest: 'd1', prompt: 'rubric-1' },
  control: null,
  ...more,
})

export function qualityStoreContract(name: string, openStore: () => Promise<Opened>): void {
  describe(`the quality store contract, over ${name}`, () => {
    let opened: Opened[] = []
    afterEach(async () => {
      for (const one of opened) await one.close()
      opened = []
    })
    async function open(): Promise<Opened> {
      const one = await openStore()
      opened.push(one)
      return one
    }

    test('marks are as they were given, newest first, of all models or one', async () => {
      const { quality } = await open()
      const unread = markOf(2, { mark: null, calls: 3, unparsable: 3 })
      const controlled = markOf(3, { model: chat, control: { kind: 'injected', result: 'missed' } })
      const unpinned = markOf(4, { judge: { name: 'j', digest: null, prompt: 'rubric-1' } })
      for (const mark of [markOf(1), controlled, unread, unpinned]) await quality.add(mark)
      expect(await quality.marks({ since: instant(0), limit: 10 })).toEqual([unpinned, controlled, unread, markOf(1)])
      expect(await quality.marks({ model: chat, since: instant(0), limit: 10 })).toEqual([controlled])
      expect(await quality.marks({ since: instant(1_003), limit: 10 })).toEqual([unpinned, controlled])
      expect(await quality.marks({ since: instant(0), limit: 1 })).toEqual([unpinned])
    })

    test('a request is marked once', async () => {
      const { quality } = await open()
      await quality.add(markOf(1))
      await quality.add(markOf(1, { mark: 2 }))
      expect(await quality.marks({ since: instant(0), limit: 10 })).toEqual([markOf(1)])
    })

    test('marks go when records of their time go', async () => {
      const { quality, audit } = await open()
      for (const n of [1, 2]) await quality.add(markOf(n))
      await audit.deleteBefore(instant(1_002), 100)
      expect(await quality.marks({ since: instant(0), limit: 10 })).toEqual([markOf(2)])
    })

    test('thumbs are the last word of each key, where it is known what it was about', async () => {
      const { quality, requests } = await open()
      const key = keyId('key_1')
      const answered = { ...aClose(idOf(1)), at: instant(3_000), model: coder, version, key }
      const word = (n: number, at: number, score: 1 | -1): FeedbackRecord => ({
        ...{
          t: 'feedback',
          id: requestId(`f${n}-${at}`),
          request: idOf(n),
          at: instant(at),
          key,
          score,
          comment: null,
        },
        checked: true,
      })
      await requests.ingest({
        ...{ epoch: 'e1', from: { segment: 1, offset: 0 }, to: { segment: 1, offset: 10 } },
        ...{ anchors: [], ended: false },
        records: [answered, word(1, 4_000, 1), word(1, 5_000, -1), word(9, 4_000, 1)],
      })
      const told = { at: 5_000, model: coder, version, score: -1 }
      expect(await quality.thumbs({ since: instant(0), limit: 10 })).toEqual([told])
      expect(await quality.thumbs({ model: chat, since: instant(0), limit: 10 })).toEqual([])
      expect(await quality.thumbs({ since: instant(5_001), limit: 10 })).toEqual([])
    })
  })
}
