import { expect, test } from 'vitest'
import { csvHead, toCsv } from './csv.ts'
import type { AuditLine } from './search.ts'

const aLine = (change: Partial<AuditLine> = {}): AuditLine => ({
  ...{ id: 'i', time: '2026-01-05T12:00:00.000Z', what: 'request', who: 'key_1', alias: 'anna', team: null },
  ...{ model: 'coder', from: '::1', target: '/v1/chat/completions', decision: 'done', why: null },
  detail: { attempts: 1, choice: 'least "loaded"' },
  ...change,
})

test('a line has the head’s columns, and null is nothing', () => {
  expect(csvHead).toBe('time,what,decision,who,alias,team,model,from,target,why,id,detail\r\n')
  expect(toCsv(aLine())).toBe(
    '"2026-01-05T12:00:00.000Z","request","done","key_1","anna",,"coder","::1","/v1/chat/completions",,"i",' +
      '"{""attempts"":1,""choice"":""least \\""loaded\\""""}"\r\n',
  )
})

test.each(['=1+1', '+49 30', '-2', '@SUM(A1)', '\t=1', '\r=1', ' =1', '\u200b=1', '\ufeff@x', '＝1', '|calc', '%x'])(
  'a spreadsheet shows %j and does not compute it',
  text => {
    expect(toCsv(aLine({ alias: text }))).toContain(`"'${text}"`)
  },
)

test.each(['anna', 'a=b', '10.0.0.1', '::1', '2026-01-05', 'a-b', 'ünïcode'])('%j stays as it is', text => {
  expect(toCsv(aLine({ alias: text }))).toContain(`,"${text}",`)
})

test('quotes, commas and lines within a cell stay within it', () => {
  expect(toCsv(aLine({ alias: 'a","b\r\n=1' }))).toContain(',"a"",""b\r\n=1",')
})
