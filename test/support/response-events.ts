/** Reads a stream of the Responses API as a strict client does: every rule of its order is checked on the way. */
import { expect } from 'vitest'

type Fields = Record<string, unknown>
export type Told = { type: string; [field: string]: unknown }

type Building = {
  item: Fields
  done: boolean
  parts: { type: string; text: string; isTold: boolean; done: boolean }[]
  input: string
  isInputTold: boolean
}

/** The events of a stream's text. */
export function parseEvents(sse: string): Told[] {
  expect(sse.endsWith('\n\n')).toBe(true)
  return sse
    .slice(0, -2)
    .split('\n\n')
    .map(text => {
      const [event, data, ...rest] = text.split('\n')
      expect(rest).toEqual([])
      const parsed = JSON.parse(data!.replace(/^data: /, '')) as Told
      expect(event).toBe(`event: ${parsed.type}`)
      return parsed
    })
}

/** The response of the last event, after checking that the events before it add up to it. */
export function checkEvents(sse: string): Fields {
  const events = parseEvents(sse)
  const building: Building[] = []
  expect(events.map(event => event['sequence_number'])).toEqual(events.map((_, index) => index))
  expect(events.slice(0, 2).map(({ type }) => type)).toEqual(['response.created', 'response.in_progress'])
  for (const event of events.slice(0, 2))
    expect(event['response']).toMatchObject({ object: 'response', status: 'in_progress', output: [] })
  const failedAt = events.findIndex(({ type }) => type === 'response.failed')
  if (failedAt !== -1) expect(events.slice(failedAt).map(({ type }) => type)).toEqual(['response.failed', 'error'])
  const last = events.at(failedAt === -1 ? -1 : failedAt)!
  for (const event of events.slice(2, failedAt === -1 ? -1 : failedAt)) take(event)

  const response = last['response'] as Fields
  const output = response['output'] as Fields[]
  expect(last.type).toBe(`response.${String(response['status'])}`)
  expect(response['id']).toBe((events[0]!['response'] as Fields)['id'])
  expect(output.map(item => item['id'])).toEqual(building.map(({ item }) => item['id']))
  for (const [index, { item, done }] of building.entries()) {
    if (done) expect(output[index]).toEqual(item)
    else expect(output[index]!['status']).toBe('incomplete')
    if (response['status'] === 'completed') expect(done).toBe(true)
    if (response['status'] === 'incomplete' && !String(item['type']).endsWith('_call')) expect(done).toBe(true)
  }
  return response

  function take(event: Told): void {
    const index = event['output_index'] as number
    if (event.type === 'response.output_item.added') {
      expect(index).toBe(building.length)
      const item = event['item'] as Fields
      expect(item).toMatchObject({ status: 'in_progress' })
      if ('content' in item) expect(item['content']).toEqual([])
      building.push({ item, done: false, parts: [], input: '', isInputTold: false })
      return
    }
    const one = building[index]!
    expect(one.done).toBe(false)
    if (event.type === 'response.output_item.done') return closeItem(one, event['item'] as Fields)
    expect(event['item_id']).toBe(one.item['id'])
    const what = /^response\.(\w+)\.(\w+)$/.exec(event.type)!
    if (what[1] === 'content_part') return takePart(one, event, what[2]!)
    if (what[1] === 'function_call_arguments' || what[1] === 'custom_tool_call_input')
      return takeInput(one, event, what[2]!)
    const part = one.parts[event['content_index'] as number]!
    expect(part.type).toBe(what[1])
    expect(part.isTold).toBe(false)
    if (what[2] === 'delta') part.text += event['delta'] as string
    else {
      expect(event[part.type === 'refusal' ? 'refusal' : 'text']).toBe(part.text)
      part.isTold = true
    }
  }

  function takePart(one: Building, event: Told, what: string): void {
    const { type, text, refusal } = event['part'] as Fields
    if (what === 'added') {
      expect(event['content_index']).toBe(one.parts.length)
      expect(text ?? refusal).toBe('')
      one.parts.push({ type: type as string, text: '', isTold: false, done: false })
      return
    }
    const part = one.parts[event['content_index'] as number]!
    expect([type, text ?? refusal, part.isTold, part.done]).toEqual([part.type, part.text, true, false])
    part.done = true
  }

  function takeInput(one: Building, event: Told, what: string): void {
    expect(one.isInputTold).toBe(false)
    if (what === 'delta') one.input += event['delta'] as string
    else {
      expect(event['arguments'] ?? event['input']).toBe(one.input)
      one.isInputTold = true
    }
  }

  function closeItem(one: Building, item: Fields): void {
    const { id, type, call_id: callId, name } = one.item
    expect(item).toMatchObject({ id, type, ...(callId === undefined ? {} : { call_id: callId, name }) })
    expect(item['status']).not.toBe('in_progress')
    if ('content' in item) {
      const content = item['content'] as Fields[]
      expect(content.map(part => [part['type'], part['text'] ?? part['refusal']])).toEqual(
        one.parts.map(part => [part.type, part.text]),
      )
      expect(one.parts.every(part => part.done)).toBe(true)
    } else {
      expect(item['arguments'] ?? item['input']).toBe(one.input)
      expect(one.isInputTold).toBe(true)
    }
    one.item = item
    one.done = true
  }
}
