/** `npm run dev`: a gateway over two fake engines, in a state folder of its own. No GPU, no weights, no network. */
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { startFakeEngine } from '../tools/fake-engine/index.ts'

const folder = mkdtempSync(join(tmpdir(), 'holdfast-dev-'))
const engines = [await startFakeEngine({ gapMs: 30, tokens: 40 }), await startFakeEngine({ gapMs: 30, tokens: 40 })]
const spec = join(folder, 'holdfast.yaml')
const version = 'dev-v1.0-fake-fp16-p0'
writeFileSync(
  spec,
  stringify({
    name: 'dev',
    versions: [
      {
        name: version,
        engine: { kind: 'openai' },
        replicas: engines.map(({ url }, i) => ({ id: `fake-${i + 1}`, url: `${url}/v1` })),
      },
    ],
    models: [{ name: 'fake', live: version }],
  }),
)
process.stdout.write(
  `Two fake engines: ${engines.map(({ url }) => url).join(', ')}. Make one fail: curl -X POST ${engines[0]?.url}/fake/behave -d '{"status":500}'\n\n`,
)
const up = spawn('bin/holdfast', ['up', spec, ...process.argv.slice(2)], {
  stdio: 'inherit',
  env: { ...process.env, HOLDFAST_HOME: join(folder, 'home') },
})
for (const name of ['SIGINT', 'SIGTERM'] as const) process.on(name, () => up.kill(name))
up.once('exit', code => {
  void Promise.all(engines.map(engine => engine.close())).then(() => {
    rmSync(folder, { recursive: true, force: true })
    process.exit(code ?? 1)
  })
})
