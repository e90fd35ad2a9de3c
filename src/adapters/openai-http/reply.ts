/** A reply over node:http. */
import type { ServerResponse } from 'node:http'
import type { Reply } from '../../services/serve/index.ts'
import { endAnswer } from './body.ts'

/** A class: it owns the response's life, and one is made for each request. */
export class HttpReply implements Reply {
  readonly #response: ServerResponse
  #sentBytes = 0

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
    return this.#response.write(bytes)
  }

  end(bytes: Uint8Array | null): void {
    this.#sentBytes += bytes?.length ?? 0
    endAnswer(this.#response, bytes)
  }

  cut(): void {
    this.#response.destroy()
  }

  onDrain(listener: () => void): void {
    this.#response.on('drain', listener)
  }
}
