/** A real browser, without a window and without a network: opens a page and tells what it drew, asked for and complained about. */
import { execFile, execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const names = ['chromium-headless-shell', 'chromium'] as const

/** `false` on CI, where the tool has to be. */
export const withoutBrowser = programOf() === null && process.env['CI'] !== 'true'

export type Page = {
  /** After it was loaded. */
  dom: string
  /** What the page or the browser wrote to its console. */
  console: string[]
  /** What was asked of anybody, as `GET http://…`; nobody answers. */
  requests: string[]
  /** PNG. */
  screenshot: Buffer
}

/** Every request goes to a proxy that counts it, so that none can be missed. */
export async function openPage(markup: string, { dark = false }: { dark?: boolean } = {}): Promise<Page> {
  const program = programOf()
  if (program === null) throw new Error('No browser. On Debian: apt-get install chromium-headless-shell')
  const folder = mkdtempSync(join(tmpdir(), 'holdfast-browser-'))
  const requests: string[] = []
  const proxy = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`)
    response.writeHead(502).end()
  })
  proxy.on('connect', (request, socket) => {
    requests.push(`CONNECT ${request.url}`)
    socket.destroy()
  })
  await new Promise<void>(resolve => proxy.listen(0, '127.0.0.1', resolve))
  try {
    // Not null, and not the name of a pipe: it listens on a port.
    const { port } = proxy.address() as AddressInfo
    const [page, picture] = [join(folder, 'page.html'), join(folder, 'page.png')]
    writeFileSync(page, markup)
    const { stdout, stderr } = await promisify(execFile)(
      program,
      [
        ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-background-networking', '--no-first-run'],
        `--user-data-dir=${join(folder, 'profile')}`,
        ...[`--proxy-server=127.0.0.1:${port}`, '--proxy-bypass-list=<-loopback>', '--enable-logging=stderr'],
        ...[`--blink-settings=preferredColorScheme=${dark ? 0 : 1}`, '--hide-scrollbars', '--window-size=1100,2600'],
        ...['--dump-dom', `--screenshot=${picture}`, `file://${page}`],
      ],
      { timeout: 45_000, maxBuffer: 64 * 1024 * 1024 },
    )
    const said = stderr.split('\n').filter(line => line.includes(':CONSOLE'))
    return { dom: stdout, console: said, requests, screenshot: readFileSync(picture) }
  } finally {
    proxy.closeAllConnections()
    proxy.close()
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  }
}

function programOf(): string | null {
  for (const name of names) {
    try {
      return execFileSync('sh', ['-c', `command -v ${name}`], { encoding: 'utf8' }).trim()
    } catch {
      // The next one.
    }
  }
  return null
}
