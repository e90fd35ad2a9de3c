/** A reply over node:http. */
import type { ServerResponse } from 'node:http'
import type { Reply } from '../../services/serve/index.ts'
import { endAnswer, unreadMs } from './body.ts'

/** A class: it owns the response's life, and one is made for each request. */
export class HttpReply implements Reply {
  readonly #response: ServerResponse
  #sentBytes = 0
  /** Runs while what was written waits for the client. */
  #unread: NodeJS.Timeout | null = null
  #onDrain: (() => void) | null = null

  constructor(response: ServerResponse) {
    this.#response = response
  }

  get headSent(): boolean {
    return this.#response.headersSent
  }

  get sentBytes(): number {
    return this.#sentBytes
  }

  head(status: number, headers: Record<string, string>): void {
    this.#response.writeHead(status, headers)
  }

  flush(): void {
    this.#response.flushHeaders()
  }

  write(bytes: Uint8Array): boolean {
    this.#sentBytes += bytes.length
    const more = this.#response.write(bytes)
    if (!more) this.#dropUnread()
    return more
  }

  end(bytes: Uint8Array | null): void {
    this.#sentBytes += bytes?.length ?? 0
    endAnswer(this.#response, bytes)
  }

  cut(): void {
    this.#response.destroy()
  }

  onDrain(listener: () => void): void {
    this.#onDrain = listener
  }

  /** What is buffered is little; a client that takes longer for it holds an engine for nothing. */
  #dropUnread(): void {
    if (this.#unread !== null) return
    const response = this.#response
    const stop = (): void => {
      if (this.#unread !== null) clearTimeout(this.#unread)
      this.#unread = null
      response.off('drain', onDrain).off('close', stop)
    }
    const onDrain = (): void => {
      stop()
      this.#onDrain?.()
    }
    this.#unread = setTimeout(() => response.destroy(), unreadMs)
    response.on('drain', onDrain).on('close', stop)
  }
}
