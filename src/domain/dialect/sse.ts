/** Server-sent events as text. */

/** One event with a name, as Anthropic's and the Responses API send them. `data` says its type again. */
export function toEvent(data: { type: string; [field: string]: unknown }): string {
  return `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`
}
