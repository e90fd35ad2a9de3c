/** An audit export on its way from the service to a file or a pipe; only a piece of it is ever held. */
import { open, rename, rm } from 'node:fs/promises'
import { resolve } from 'node:path'
import { CliError, type Client } from './client.ts'

const newline = 0x0a
const tellEveryMs = 200

/** `output`: a file that appears once it is whole, for its owner only; `null`: standard output. */
export async function exportAudit(
  client: Client,
  { path, output }: { path: string; output: string | null },
): Promise<void> {
  const progress = openProgress()
  try {
    if (output === null) {
      await pipe(client.download(path), progress.saw)
    } else {
      await writeFile(client, { path, output, progress })
    }
  } finally {
    progress.end()
  }
}

/** Whoever reads the pipe may have seen enough (`| head`): that is no mistake of anybody's. */
async function pipe(pieces: AsyncIterable<Uint8Array>, saw: (bytes: Uint8Array) => void): Promise<void> {
  const { stdout } = process
  const { promise: closed, resolve: close } = Promise.withResolvers<void>()
  let isClosed = false
  stdout.on('error', () => {
    isClosed = true
    close()
  })
  for await (const bytes of pieces) {
    if (isClosed) return
    saw(bytes)
    if (stdout.write(bytes)) continue
    await Promise.race([new Promise(resume => stdout.once('drain', resume)), closed])
  }
}

async function writeFile(
  client: Client,
  { path, output, progress }: { path: string; output: string; progress: ReturnType<typeof openProgress> },
): Promise<void> {
  const whole = resolve(output)
  const part = `${whole}.part`
  const file = await open(part, 'w', 0o600).catch((error: unknown) => {
    throw new CliError(`${whole} can't be written: ${error instanceof Error ? error.message : String(error)}`)
  })
  try {
    for await (const bytes of client.download(path)) {
      progress.saw(bytes)
      await file.appendFile(bytes)
    }
    await file.sync()
  } catch (error) {
    await file.close()
    await rm(part, { force: true })
    throw error
  }
  await file.close()
  await rename(part, whole)
}

/** On a terminal a counter, and in the end what it came to; elsewhere nothing, since the output may be read by a program. */
function openProgress() {
  const terminal = process.stderr.isTTY === true
  let lines = 0
  let toldAt = 0
  const tell = (ending: string): void => {
    if (terminal) process.stderr.write(`\r${lines} lines${ending}`)
  }
  return {
    saw(bytes: Uint8Array): void {
      for (let at = bytes.indexOf(newline); at >= 0; at = bytes.indexOf(newline, at + 1)) lines++
      if (performance.now() - toldAt < tellEveryMs) return
      toldAt = performance.now()
      tell(' …')
    },
    end: () => tell('.\u001b[K\n'),
  }
}
