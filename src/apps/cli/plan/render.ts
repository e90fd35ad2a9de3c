/** How `holdfast plan` prints a plan: a bar for each memory, what is in it, what does not fit, and what else to know. */
import { inGibi, saySpeed } from '../../../domain/capacity/index.ts'
import type {
  Finding,
  Line,
  Plan,
  PlannedGpu,
  PlannedHost,
  PlannedPart,
  Refusal,
} from '../../../domain/capacity/index.ts'

const barWidth = 40

export function renderPlan(plan: Plan, { explain }: { explain: boolean }): string {
  const blocks = [
    ...plan.hosts.map(host => renderHost(host, plan, explain)),
    ...renderRefusals(plan.refusals),
    ...renderSlices(plan),
    ...renderCommands(plan),
    ...renderFindings(plan.findings),
    renderEnd(plan),
  ]
  return blocks.join('\n\n')
}

function renderHost(host: PlannedHost, plan: Plan, explain: boolean): string {
  const { power } = host
  const supply =
    power.supplyWatts === null
      ? `supply not stated, ${power.supplyNeeded} W would do`
      : `${Math.round(100 * (power.share ?? 0))} % of a supply of ${power.supplyWatts} W`
  const ups = power.upsWatts === null ? '' : `; UPS ${power.upsWatts} W`
  return [
    host.name,
    ...host.gpus.flatMap(gpu => renderGpu(gpu, plan, explain)),
    ...renderRam(host, plan, explain),
    ...(host.gpus.length === 0
      ? []
      : [`  power  ${power.cardsWatts} W cards + ${power.restWatts} W rest = ${power.totalWatts} W, ${supply}${ups}`]),
  ].join('\n')
}

function renderGpu(gpu: PlannedGpu, plan: Plan, explain: boolean): string[] {
  const { id, product, usedBytes, capacityBytes, headroomBytes, parts } = gpu
  const free = Math.max(0, capacityBytes - usedBytes)
  const kept = headroomBytes === 0 ? '' : `, ${inGibi(headroomBytes)} of it kept free`
  return [
    `  ${id}  ${product ?? 'unknown product'}`,
    `    ${bar(parts, capacityBytes)}  ${inGibi(usedBytes)} of ${inGibi(capacityBytes)}, ${inGibi(free)} left${kept}`,
    ...parts.flatMap(part => [
      `    ${part.replica}  ${sayPart(part)}`,
      ...sayReplica(plan, part, gpu.id).map(line => `      ${line}`),
      ...(explain ? explainPart(part) : []),
    ]),
    ...(explain && parts.length > 0 ? [`    ${sumLine(parts, usedBytes)}`] : []),
  ]
}

function renderRam({ ram }: PlannedHost, plan: Plan, explain: boolean): string[] {
  if (ram.parts.length === 0 && ram.capacityBytes === null) return []
  const of = ram.capacityBytes === null ? 'not stated' : inGibi(ram.capacityBytes)
  const drawn = ram.capacityBytes === null ? '' : `${bar(ram.parts, ram.capacityBytes)}  `
  return [
    '  RAM',
    `    ${drawn}${inGibi(ram.usedBytes)} of ${of}`,
    ...ram.parts.flatMap(part => [
      `    ${part.replica}  ${sayPart(part)}`,
      ...sayReplica(plan, part, null).map(line => `      ${line}`),
      ...(explain ? explainPart(part) : []),
    ]),
    ...(explain && ram.parts.length > 0 ? [`    ${sumLine(ram.parts, ram.usedBytes)}`] : []),
  ]
}

/** `█` weights, `▓` cache, `▒` compute and overhead, `·` free. */
function bar(parts: readonly PlannedPart[], capacity: number): string {
  const kinds = [
    ['█', sum(parts, part => part.weightsBytes)],
    ['▓', sum(parts, part => part.kvBytes)],
    ['▒', sum(parts, part => part.computeBytes + part.overheadBytes)],
  ] as const
  let drawn = ''
  let before = 0
  for (const [sign, bytes] of kinds) {
    before += bytes
    const until = Math.round((barWidth * Math.min(before, capacity)) / Math.max(1, capacity))
    drawn += sign.repeat(Math.max(0, until - drawn.length))
  }
  return `[${drawn.padEnd(barWidth, '·')}]`
}

const sum = <Item>(items: readonly Item[], of: (item: Item) => number): number =>
  items.reduce((all, item) => all + of(item), 0)

function sayPart({ weightsBytes, kvBytes, computeBytes, overheadBytes }: PlannedPart): string {
  const all = weightsBytes + kvBytes + computeBytes + overheadBytes
  const parts = [
    [weightsBytes, 'weights'],
    [kvBytes, 'cache'],
    [computeBytes, 'compute'],
    [overheadBytes, 'overhead'],
  ] as const
  const named = parts.filter(([bytes]) => bytes > 0).map(([bytes, name]) => `${inGibi(bytes)} ${name}`)
  return `${inGibi(all)} = ${named.join(' + ')}`
}

/** Once, where its first part is. */
function sayReplica({ replicas }: Plan, part: PlannedPart, gpu: string | null): string[] {
  const replica = replicas.find(each => each.replica === part.replica)
  if (replica === undefined) return []
  const [first = null] = replica.gpus
  if (first !== gpu) return gpu === null ? [] : [`part ${replica.gpus.indexOf(gpu) + 1} of ${replica.gpus.length}`]
  const { settings, speed, cacheTokens, certainty, version, reason, remarks } = replica
  const parallel = [
    ...(settings.tensorParallel > 1 ? [`tensor parallel ${settings.tensorParallel}`] : []),
    ...(settings.pipelineParallel > 1 ? [`${settings.pipelineParallel} stages`] : []),
    ...(settings.cpuMoe > 0 ? [`experts of ${settings.cpuMoe} layers in RAM`] : []),
    ...(settings.cpuLayers > 0 ? [`${settings.cpuLayers} layers in RAM`] : []),
    ...(settings.fraction === null ? [] : [`share ${settings.fraction}`]),
  ]
  const room = `context ${settings.context} × ${settings.sequences} at once (${cacheTokens} tokens in all, ${settings.keyType})`
  return [
    `${version}${certainty === 'read' ? '' : `, ${certainty} facts`}; ${reason}`,
    [room, ...parallel, saySpeed(speed)].join('; '),
    ...remarks.map(remark => `! ${remark}`),
  ]
}

const explainPart = (part: PlannedPart): string[] =>
  part.lines.map(
    line => `      ${printBytes(line)}  ${line.part.padEnd(8)}  ${line.what} = ${line.formula}  [${line.source}]`,
  )

const printBytes = ({ bytes }: Line): string => bytes.toLocaleString('en').padStart(17)

const sumLine = (parts: readonly PlannedPart[], usedBytes: number): string =>
  `${parts.length} part${parts.length === 1 ? '' : 's'}, ${parts.flatMap(part => part.lines).length} lines: ${usedBytes.toLocaleString('en')} bytes`

function renderRefusals(refusals: readonly Refusal[]): string[] {
  if (refusals.length === 0) return []
  return [
    [
      'Does not fit',
      ...refusals.flatMap(({ replica, version, why, counterfactuals, slowWay }) => [
        `  ${replica}  (${version})`,
        `    ${why}.`,
        ...(counterfactuals.length === 0
          ? ['    Nothing that was tried makes it fit.']
          : ['    It fits', ...counterfactuals.map(({ change }) => `      ${change}`)]),
        ...(slowWay === null
          ? []
          : [
              `    The slow way: ${slowWay.way}: ${inGibi(slowWay.ramBytes)} of RAM${slowWay.nvmeBytes === 0 ? '' : `, ${inGibi(slowWay.nvmeBytes)} of NVMe`}; ${slowWay.why}.`,
            ]),
      ]),
    ].join('\n'),
  ]
}

function renderSlices({ slices }: Plan): string[] {
  if (slices.length === 0) return []
  return [
    [
      'Slices (MIG)',
      ...slices.flatMap(({ host, gpu, slices: each, commands, why }) => [
        `  ${host}/${gpu}: ${why}`,
        ...each.map(
          slice =>
            `    ${slice.profile} at ${slice.start} for ${slice.replica}${slice.fraction === null ? '' : `, share ${slice.fraction}`}`,
        ),
        ...commands.map(command => `    $ ${command}`),
      ]),
    ].join('\n'),
  ]
}

function renderCommands({ commands }: Plan): string[] {
  if (commands.length === 0) return []
  const lines = commands.flatMap(({ replica, argv, env }) => {
    const before = Object.entries(env).map(([name, value]) => `${name}=${quote(value)}`)
    return [`  ${replica}`, `    ${[...before, ...argv.map(quote)].join(' ')}`]
  })
  return [['Commands', ...lines].join('\n')]
}

const quote = (word: string): string =>
  /^[\w@%+=:,./-]*$/.test(word) && word !== '' ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`

const titles: readonly [Finding['level'], string][] = [
  ['mistake', 'Mistakes in the spec'],
  ['risk', 'Risks'],
  ['estimate', 'Estimated'],
  ['advice', 'Advice'],
]

function renderFindings(findings: readonly Finding[]): string[] {
  return titles.flatMap(([level, title]) => {
    const here = findings.filter(finding => finding.level === level)
    if (here.length === 0) return []
    const lines = here.flatMap(({ host, gpu, replica, what, remedy }) => {
      const at = [[host, gpu].filter(Boolean).join('/'), replica].filter(Boolean).join(' ')
      return [`  ${at === '' ? '' : `${at}: `}${what}`, `    → ${remedy}`]
    })
    return [[title, ...lines].join('\n')]
  })
}

function renderEnd({ replicas, refusals, search }: Plan): string {
  const placed = `${replicas.length} of ${replicas.length + refusals.length} replicas placed`
  const proof = search.isProven
    ? 'no better placement exists'
    : `the best of ${search.tried} that were tried; there may be a better one`
  return `${placed}; ${proof}. Next: holdfast plan --explain for every number${refusals.length === 0 ? ', holdfast up to run it' : ''}.`
}
