/** The walls between folders (style.md's rings). Each is broken on purpose in test/architecture.test.ts. */
import { existsSync, readdirSync } from 'node:fs'

const test = '\\.test\\.ts$'
const npm = ['npm', 'npm-dev', 'npm-optional', 'npm-peer', 'npm-bundled', 'npm-no-pkg', 'npm-unknown']

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    wall('domain-is-innermost', 'The domain decides; what it needs comes in as values.', {
      from: { path: '^src/domain/', pathNot: test },
      to: { path: '^(src/(?!domain/)|tools/|test/|bench/|scripts/)' },
    }),
    // A path rule on `node:` does not match: core modules resolve to `fs`. So by kind.
    wall('domain-is-pure', 'No platform and no package in the domain: it also runs in a browser.', {
      from: { path: '^src/domain/', pathNot: test },
      to: { dependencyTypes: ['core', ...npm], pathNot: '(^|/)node_modules/zod/' },
    }),
    wall('zod-only-in-spec', 'The schema of holdfast.yaml is the one place where the domain parses.', {
      from: { path: '^src/domain/(?!spec/)', pathNot: test },
      to: { path: '(^|/)node_modules/zod/' },
    }),
    wall('services-face-inward', 'A service reaches outside through a port; the adapter is given to it.', {
      from: { path: '^src/services/', pathNot: test },
      to: { path: '^(src/(adapters|apps)/|tools/|test/|bench/|scripts/)' },
    }),
    wall('services-use-no-package', 'A package touches something: that is an adapter’s work.', {
      from: { path: '^src/services/', pathNot: test },
      to: { dependencyTypes: npm },
    }),
    wall('adapters-face-inward', 'Only src/apps wires.', {
      from: { path: '^src/adapters/', pathNot: test },
      to: { path: '^(src/apps/|tools/|test/|bench/|scripts/)' },
    }),
    wall('adapters-are-strangers', 'An adapter that knows another can’t be exchanged alone; share through a port.', {
      from: { path: '^src/adapters/([^/]+)/', pathNot: test },
      to: { path: '^src/adapters/', pathNot: '^src/adapters/$1/' },
    }),
    // Where one port has several adapters they are one level deeper; what they share stands in the port's folder, or is
    // the OpenAI dialect itself, which most engines speak with a few words of their own.
    wall('kinds-are-strangers', 'One kind of engine (store, limits, registry) must work without the others.', {
      from: { path: '^src/adapters/(engine|store|limits|registry)/([^/]+)/', pathNot: test },
      to: { path: '^src/adapters/$1/[^/]+/', pathNot: '^src/adapters/($1/$2|engine/openai)/' },
    }),
    wall('apps-are-outermost', 'Composition roots are started, not imported.', {
      from: { path: '^(src/(?!apps/)|tools/|bench/)', pathNot: test },
      to: { path: '^src/apps/' },
    }),
    wall('apps-ship-alone', 'What runs in production imports nothing that is only for us.', {
      from: { path: '^src/', pathNot: test },
      to: { path: '^(tools/|test/|bench/|scripts/)' },
    }),
    wall(
      'grown-parts-on-demand',
      'Import it where the spec asks for it: every start of every process would wait for it.',
      {
        from: { path: '^src/(?!adapters/(store/postgres|limits/redis)/)', pathNot: test },
        to: {
          path: '^src/adapters/(store/postgres|limits/redis)/',
          dynamic: false,
          dependencyTypesNot: ['type-only'],
        },
      },
    ),
    wall('no-development-package', 'The shipped program has only `dependencies`.', {
      from: { path: '^src/', pathNot: test },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
    }),
    wall('no-cycle', 'Two files that need each other are one thought in two places.', {
      from: {},
      to: { circular: true },
    }),
    wall('resolvable', 'An import that leads nowhere fails at run time, not here, when it is dynamic.', {
      from: {},
      to: { couldNotResolve: true },
    }),
    // A folder inside may have a door of its own (domain/evaluation/statistics): it is a door too.
    ...frontDoors().map(folder =>
      wall(`front-door:${folder}`, `Import ${folder}/index.ts: what it does not name may change.`, {
        from: { pathNot: `^${folder}/|^test/|${test}` },
        to: { path: `^${folder}/`, pathNot: `^${folder}/index\\.ts$|^${folder}/[^/]+/index\\.ts$` },
      }),
    ),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    // Type imports are dependencies too: a type from the wrong ring is a wrong idea.
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { extensions: ['.ts', '.js', '.mjs', '.json'] },
  },
}

function wall(name, comment, { from, to }) {
  return { name, comment, severity: 'error', from, to }
}

/** Every folder at the first two levels of the rings that has an index.ts. */
function frontDoors() {
  return ['src/domain', 'src/services', 'src/adapters', 'tools']
    .flatMap(ring => foldersIn(ring))
    .flatMap(folder => [folder, ...foldersIn(folder)])
    .filter(folder => existsSync(`${folder}/index.ts`))
}

function foldersIn(folder) {
  if (!existsSync(folder)) return []
  return readdirSync(folder, { withFileTypes: true })
    .filter(entry => entry.isDirectory())
    .map(entry => `${folder}/${entry.name}`)
}
