/**
 * Runs inside a gateway and a controller (`NODE_OPTIONS=--import …`): at SIGUSR2 their wall clock jumps by so many
 * milliseconds as the file says that HOLDFAST_TEST_CLOCK names. Monotonic time goes on as it did, as on a real machine.
 */
import { readFileSync } from 'node:fs'
import { isMainThread } from 'node:worker_threads'

const file = process.env['HOLDFAST_TEST_CLOCK']
const isOurs = process.argv.includes('gateway') || process.argv.includes('controller')
if (file !== undefined && isMainThread && isOurs) {
  const RealDate = Date
  let shift = 0
  const now = (): number => RealDate.now() + shift
  globalThis.Date = new Proxy(RealDate, {
    construct: (target, args, newTarget) => Reflect.construct(target, args.length === 0 ? [now()] : args, newTarget),
    apply: target => new target(now()).toString(),
    get: (target, name) => (name === 'now' ? now : Reflect.get(target, name)),
  })
  process.on('SIGUSR2', () => {
    shift = Number(readFileSync(file, 'utf8'))
  })
}
