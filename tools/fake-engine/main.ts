/** The fake engine as a process, so that it can be killed: prints one JSON line when it listens. */
import { parseArgs } from 'node:util'
import { parseBehaviourChange } from './behaviour.ts'
import { startFakeEngine } from './fake-engine.ts'

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    name: { type: 'string' },
    behave: { type: 'string', default: '{}' },
  },
})
const engine = await startFakeEngine({
  ...parseBehaviourChange(JSON.parse(values.behave)),
  ...(values.name === undefined ? {} : { name: values.name }),
  port: Number(values.port),
  // What the kernel's OOM killer leaves behind.
  onDie: () => process.exit(137),
})
process.stdout.write(`${JSON.stringify({ url: engine.url, pid: process.pid })}\n`)
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => void engine.close().then(() => process.exit(0)))
}
