/** Advice: what else of the machine matters for what was placed. PCIe, NUMA, large pages, mixed vendors, cards shared. */
import type { Finding } from './findings.ts'
import { gibi, inGibi, mebi, sumOf } from './fleet.ts'
import type { Host } from './fleet.ts'
import type { Placed } from './placement.ts'
import { pcieBandwidth } from './speed.ts'

export function adviceFor(hosts: readonly Host[], placed: readonly Placed[]): Finding[] {
  return [
    ...hosts.flatMap(host => [...mixedVendors(host), ...sharedCards(host, placed)]),
    ...placed.flatMap(each => [...ofPcie(each), ...ofNuma(each), ...ofPages(each)]),
  ]
}

function mixedVendors(host: Host): Finding[] {
  const vendors = [...new Set(host.cards.flatMap(card => (card.vendor === null ? [] : [card.vendor])))]
  if (vendors.length < 2) return []
  return [
    {
      ...{ host: host.name, gpu: null, level: 'advice', topic: 'sharing' },
      what: `it has cards of ${vendors.join(' and ')}: one vLLM, SGLang or TensorRT-LLM can’t use both together`,
      remedy:
        'give each vendor its own engines; only llama.cpp spans both, built for Vulkan (or over RPC), at the pace of the slower card',
    },
  ]
}

function sharedCards(host: Host, placed: readonly Placed[]): Finding[] {
  return host.cards.flatMap((card): Finding[] => {
    const on = placed.filter(each => each.cards.includes(card))
    if (on.length < 2) return []
    const shares = on.flatMap(({ workload, need }) =>
      need.settings.fraction === null ? [] : [`${workload.replica} ${need.settings.fraction}`],
    )
    if (shares.length < 2) return []
    return [
      {
        ...{ host: host.name, gpu: card.id, level: 'advice', topic: 'sharing' },
        what: `engines share it, and each share is of the whole card: ${shares.join(', ')}`,
        remedy: 'start them one after another: each checks at its start that its share is free',
      },
    ]
  })
}

function ofPcie({ workload, host, cards, need }: Placed): Finding[] {
  const [card] = cards
  if (card === undefined) return []
  const lanes = card.pcie?.lanes ?? 16
  const bytes = need.cards.reduce((most, lines) => Math.max(most, sumOf(lines, 'weights')), 0)
  const seconds = (bytes / pcieBandwidth(card)).toFixed(1)
  const at = { host: host.name, gpu: card.id, replica: workload.replica, topic: 'pcie' } as const
  const load = `${inGibi(bytes)} of weights take at least ${seconds} s over ${lanes} lanes`
  if (need.settings.tensorParallel > 1 && card.known?.link === null)
    return [
      {
        ...{ ...at, level: lanes < 16 ? 'risk' : 'advice' },
        what: `tensor parallel over PCIe, ${lanes} lanes, without NVLink: every layer waits for two exchanges; ${load}`,
        remedy:
          lanes < 16
            ? 'put the cards into slots of 16 lanes, or use pipeline parallel, which exchanges once a stage'
            : 'pipeline parallel exchanges less, and is slower for one request: measure both',
      },
    ]
  if (lanes >= 16) return []
  const reads =
    need.settings.cpuMoe > 0
      ? 'long prompts are read at half the pace, as experts are copied over'
      : 'once it is loaded nothing slows down'
  return [
    {
      ...{ ...at, level: 'advice' },
      what: `${load}, twice as long as over 16; ${reads}`,
      remedy: 'nothing, or a slot of 16 lanes',
    },
  ]
}

function ofNuma({ workload, host, cards, need }: Placed): Finding[] {
  const nodes = [...new Set(cards.flatMap(card => (card.numa === null ? [] : [card.numa])))]
  const at = { host: host.name, gpu: null, replica: workload.replica, topic: 'numa' } as const
  if (nodes.length > 1)
    return [
      {
        ...{ ...at, level: 'advice' },
        what: `its cards hang on NUMA nodes ${nodes.join(' and ')}: exchanges cross the sockets`,
        remedy: 'choose cards of one node where there are enough of them',
      },
    ]
  const inRam = sumOf(need.ram, 'weights')
  const isOffloaded = need.settings.cpuMoe > 0 || (need.settings.cpuLayers > 0 && cards.length > 0)
  if (!isOffloaded || inRam < 8 * gibi) return []
  return [
    {
      ...{ ...at, level: 'advice' },
      what: `${inGibi(inRam)} of weights are read from main memory for every token: on a board with several nodes, half of that crosses sockets`,
      remedy:
        'numactl --interleave=all with --numa numactl and kernel.numa_balancing=0; drop the page cache before the first load',
    },
  ]
}

function ofPages({ workload, host, need }: Placed): Finding[] {
  const inRam = sumOf(need.ram, 'weights')
  if (inRam < 8 * gibi) return []
  return [
    {
      ...{ host: host.name, gpu: null, replica: workload.replica, level: 'advice', topic: 'hugepages' },
      what: `${inGibi(inRam)} of weights in main memory are ${Math.ceil(inRam / (4 * 1024)).toLocaleString('en')} pages of 4 KiB, or ${Math.ceil(inRam / (2 * mebi)).toLocaleString('en')} of 2 MiB`,
      remedy:
        'transparent_hugepage=madvise (or always) and --no-mmap; vm.nr_hugepages only helps programs that ask for it',
    },
  ]
}
