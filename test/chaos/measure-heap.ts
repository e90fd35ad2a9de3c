/**
 * Runs inside a gateway (`NODE_OPTIONS=--import …`): at SIGUSR2 collects garbage and tells what is left, in a file of the
 * folder that HOLDFAST_TEST_HEAP names.
 */
import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { isMainThread } from 'node:worker_threads'

const folder = process.env['HOLDFAST_TEST_HEAP']
if (folder !== undefined && isMainThread && process.argv.includes('gateway')) {
  setFlagsFromString('--expose-gc')
  // The flag makes a global of new contexts; what it names collects this whole process's garbage.
  const collect = runInNewContext('gc') as () => void
  process.on('SIGUSR2', () => {
    collect()
    collect()
    const file = join(folder, `${process.pid}.json`)
    writeFileSync(`${file}.new`, JSON.stringify(process.memoryUsage()))
    renameSync(`${file}.new`, file)
  })
}
