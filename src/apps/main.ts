/**
 * The one program. Its first word is a process's role, or a command of the command line. Roles are imported when they
 * are asked for, so that a gateway does not load an engine's libraries.
 */
import { fileURLToPath } from 'node:url'

const entry = fileURLToPath(import.meta.url)
const [role, ...more] = process.argv.slice(2)

if (role !== undefined && more.length === 0 && process.connected) await runRole(role)
else if (role === 'engine' && process.env['HOLDFAST_ENGINE'] !== undefined) await runRole(role)
else {
  const { runCommandLine } = await import('./cli/index.ts')
  process.exitCode = await runCommandLine({ argv: process.argv, env: process.env, entry })
}

/** A process that `holdfast up` started. Ends with its parent: the channel to it closes then, whatever happened to it. */
async function runRole(name: string): Promise<void> {
  const { env } = process
  if (name === 'engine') {
    const { runEngine } = await import('./engine.ts')
    return runEngine(env)
  }
  if (name === 'llama-library') {
    const { runLlamaLibrary } = await import('./llama-library.ts')
    return runLlamaLibrary()
  }
  const stop = new AbortController()
  process.once('SIGTERM', () => stop.abort())
  const orphaned = new AbortController()
  process.once('disconnect', () => {
    orphaned.abort()
    stop.abort()
  })
  const onReady = (scheme?: 'http' | 'https'): void => {
    process.send?.({ type: 'ready', scheme })
  }
  const { homeFolder, openHome } = await import('./paths.ts')
  const home = openHome(homeFolder(env))
  if (name === 'gateway') {
    const { runGateway } = await import('./gateway.ts')
    const elsewhere = env['HOLDFAST_ELSEWHERE'] === '1'
    const handover = listenForHandover(env)
    const listen = { fd: 3 }
    await runGateway({ home, env, listen, elsewhere, onReady, orphaned: orphaned.signal, handover }, stop.signal)
  } else if (name === 'agent') {
    const { runAgent, stopEngines } = await import('./agent.ts')
    process.on('message', () => stop.abort(stopEngines))
    await runAgent({ home, env, entry, onReady }, stop.signal)
  } else if (name === 'controller') {
    const { runController } = await import('./controller.ts')
    await runController({ home, env })
  } else {
    throw new Error(`there is no role '${name}'`)
  }
  process.exit(0)
}

/** The parent says when one gateway follows another. */
function listenForHandover(env: NodeJS.ProcessEnv) {
  const lead = new AbortController()
  const retired = new AbortController()
  process.on('message', (message: unknown) => {
    if (typeof message !== 'object' || message === null || !('type' in message)) return
    if (message.type === 'lead') lead.abort()
    if (message.type === 'retire') retired.abort()
  })
  return {
    successor: env['HOLDFAST_SUCCESSOR'] === '1',
    lead: lead.signal,
    onPrepared: () => void process.send?.({ type: 'prepared' }),
    retired: retired.signal,
    onRetired: () => void process.send?.({ type: 'retired' }),
  }
}
