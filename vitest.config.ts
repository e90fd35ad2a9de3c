/** Four suites: `unit` (and `unit-domain`) beside the code, `contract` over every adapter of a port, `conformance` and `e2e` (and `e2e-alone`) with real processes. */
import { defineConfig } from 'vitest/config'

// node:sqlite announces itself as experimental in every worker; it is a chosen part.
const execArgv = ['--disable-warning=ExperimentalWarning']

const whole = { execArgv, testTimeout: 60_000, hookTimeout: 60_000 }

/** They load the machine on purpose, or measure it. */
const alone = ['bench', 'chaos', 'failover', 'flood', 'soak'].map(name => `test/e2e/${name}.test.ts`)

export default defineConfig({
  test: {
    // Tests start processes, listen and read the environment: a process each keeps them apart.
    pool: 'forks',
    // A machine of two cores would get one otherwise, and most tests wait for something.
    maxWorkers: 2,
    // Against hanging, not against slowness: on a busy machine a property test may take seconds.
    testTimeout: 30_000,
    hookTimeout: 30_000,
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['src/**/*.test.ts', 'tools/**/*.test.ts', 'test/*.test.ts'],
          exclude: ['src/domain/**'],
          execArgv,
        },
      },
      // The domain touches nothing: its files may share a process, and need not load it all anew each time.
      { extends: true, test: { name: 'unit-domain', include: ['src/domain/**/*.test.ts'], execArgv, isolate: false } },
      { extends: true, test: { name: 'contract', include: ['test/contract/**/*.test.ts'], execArgv } },
      { extends: true, test: { name: 'conformance', include: ['test/conformance/**/*.test.ts'], execArgv } },
      // Whole services, which wait more than they work: two at once, where neither minds the other.
      {
        extends: true,
        test: {
          ...whole,
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          exclude: alone,
          sequence: { groupOrder: 1 },
        },
      },
      {
        extends: true,
        test: { ...whole, name: 'e2e-alone', include: alone, fileParallelism: false, sequence: { groupOrder: 2 } },
      },
    ],
  },
})
