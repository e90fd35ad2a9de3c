/** What a person reads when the service is up. */
import type { FoundEngine } from '../../adapters/discovery/index.ts'
import type { AdminKey } from '../admin-key.ts'

export type BannerFacts = {
  version: string
  url: string
  /** As the spec tells it to people elsewhere; `null`: it does not. */
  publicUrl: string | null
  /** Set when others on the network reach it, too. */
  openTo: string | null
  home: string
  admin: AdminKey
  adminFile: string
  models: { name: string; version: string; status: string }[]
  found: FoundEngine[]
  notes: string[]
  /** Whether the key itself may be shown: on a terminal, or when it was made just now. */
  showKey: boolean
}

const smokeVersion = 'dev-v1.0-smoke-2m-q8-0-p0'

export function renderBanner(facts: BannerFacts): string {
  const { url, admin, models } = facts
  const first = models.find(({ status }) => status === 'loaded') ?? models[0]
  return [
    `Holdfast ${facts.version} is serving.`,
    '',
    `  Address    ${url}/v1`,
    ...(facts.publicUrl === null ? [] : [`  Public     ${facts.publicUrl}/v1`]),
    ...(facts.openTo === null
      ? []
      : [`  Open to    ${facts.openTo}, unencrypted: put TLS in front before keys cross a network`]),
    `  Admin key  ${keyLine(facts)}`,
    ...models.map((model, i) => `  ${i === 0 ? 'Models   ' : '         '}  ${modelLine(model)}`),
    `  State      ${facts.home}`,
    ...(first === undefined
      ? []
      : ['', 'Try it:', `  ${curlLine(url, keyExpression(admin, facts.adminFile), first.name)}`]),
    ...facts.found.flatMap(({ program, url: engine, models: theirs, notes }) => [
      '',
      `Found ${program} at ${engine} (${theirs.length === 0 ? 'no models' : theirs.slice(0, 3).join(', ') + (theirs.length > 3 ? ' …' : '')}). To serve it:`,
      `  npm start -- --engine ${engine}`,
      ...notes.map(note => `  ${note}`),
    ]),
    ...(facts.notes.length === 0 ? [] : ['', `Accepted in the spec and not acted on yet: ${facts.notes.join(', ')}.`]),
    '',
    'Next: npm run -s holdfast -- key create --alias anna    (a key for somebody)',
    '      npm run -s holdfast -- chat                       (talk to it here)',
    'Stop: Ctrl-C',
    '',
  ].join('\n')
}

function keyLine({ admin, adminFile, showKey }: BannerFacts): string {
  if (admin.source === 'environment') return 'the one in HOLDFAST_ADMIN_KEY'
  return showKey ? `${admin.key}  (kept in ${adminFile})` : `in ${adminFile}`
}

function modelLine({ name, version, status }: BannerFacts['models'][number]): string {
  const what =
    version === smokeVersion ? ', a 2 MB smoke model: it shows that everything works, and knows very little' : ''
  return `${name}  (${version}, ${status}${what})`
}

/** The secret itself stays out of the shell's history. */
function keyExpression(admin: AdminKey, file: string): string {
  return admin.source === 'environment' ? '$HOLDFAST_ADMIN_KEY' : `$(cat ${quote(file)})`
}

function curlLine(url: string, key: string, model: string): string {
  // A person's first answer is the model's best, and the same each time: a small one, left to chance, at times invents a city.
  const asked = { temperature: 0, messages: [{ role: 'user', content: 'What is the capital of France?' }] }
  const body = JSON.stringify({ model, ...asked })
  return `curl ${url}/v1/chat/completions -H "authorization: Bearer ${key}" -H 'content-type: application/json' -d '${body}'`
}

const quote = (path: string): string => (/^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`)
