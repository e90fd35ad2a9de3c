/** The spec's `hosts` and `registry` sections. */
import { z } from 'zod'
import { flag, name, port, positive, secret, storeAddress, text } from './fields.ts'
import { power, rate, size } from './measures.ts'

const gpu = z.strictObject({
  id: name('What replicas call it; unique on its host.'),
  product: text('The card, as its maker calls it.').optional(),
  memory: size('Its memory.').optional(),
  uuid: text('Its UUID, or a MIG slice’s, as `nvidia-smi -L` prints it: engines are then bound to it.').optional(),
  pcie: z
    .strictObject({
      gen: z.int().min(1).max(7).meta({ title: 'number', description: 'PCIe generation.' }),
      lanes: z.int().min(1).max(16).meta({ title: 'number', description: 'Lanes that are connected.' }),
    })
    .describe('How it is connected.')
    .optional(),
  numa: z.int().min(0).meta({ title: 'number', description: 'The NUMA node it hangs on.' }).optional(),
  power: power('The most it draws.').optional(),
})

export const host = z.strictObject({
  name: name('What replicas call it.'),
  address: text('IP address or DNS name that other machines reach it at.').optional(),
  memory: size('Main memory.').optional(),
  memoryBandwidth: rate('Bandwidth of main memory.').optional(),
  gpus: z.array(gpu).prefault([]).describe('Its GPUs.'),
  power: z
    .strictObject({
      supply: power('What the power supply gives.'),
      rest: power('What everything but the GPUs draws.').optional(),
    })
    .describe('Its power budget.')
    .optional(),
  storage: z
    .strictObject({
      models: text('Folder for weights.').optional(),
      state: text('ZFS data set, or folder, for state.').optional(),
    })
    .describe('Where it keeps things.')
    .optional(),
  ups: z
    .strictObject({
      name: name('The UPS, as Network UPS Tools calls it.'),
      power: power('What it gives at most: its watts, not its volt-amperes.').optional(),
      host: text('Where upsd runs.').default('localhost'),
      user: text('User of upsd.').optional(),
      password: secret('Password of upsd.').optional(),
    })
    .describe('The uninterruptible power supply.')
    .optional(),
  cost: z
    .strictObject({
      hourly: positive('What an hour of it costs, power aside.').optional(),
      perKwh: positive('What a kilowatt-hour costs.').optional(),
      currency: z
        .string()
        .regex(/^[A-Z]{3}$/, 'expected a currency of three letters, such as EUR')
        .meta({ title: 'currency', description: 'ISO 4217.' })
        .default('EUR'),
    })
    .describe('What it costs, for cost reports.')
    .optional(),
})

export const registryKinds = ['directory', 's3', 'nexus', 'hugging-face'] as const

export const registry = z.strictObject({
  name: name('What artifacts call it.'),
  kind: z.enum(registryKinds).describe('What it is.'),
  path: text('The folder (kind directory).').optional(),
  url: storeAddress(
    'Its address: `https://<host>/<bucket>` or `s3://<bucket>`, `https://<nexus>/repository/<name>`, or another hub than huggingface.co; a folder may follow a bucket or a repository.',
  ).optional(),
  region: z
    .string()
    .regex(/^[a-z0-9-]{1,64}$/, 'expected a region such as eu-central-1')
    .meta({
      title: 'region',
      description: 'The region that requests are signed for (kind s3); `us-east-1` when left out.',
    })
    .optional(),
  token: secret(
    'What opens it: `<access key id>:<secret access key>` (s3), `<user>:<password>` (nexus), or the hub’s token.',
  ).optional(),
  only: flag('What it has not is fetched from nowhere else.').default(false),
})

export const tunnel = z.strictObject({
  kind: z.enum(['wireguard']).describe('The tunnel’s kind.'),
  listen: port('UDP port.').default(51_820),
  network: text('The tunnel’s own network, as CIDR.'),
  peers: z
    .array(
      z.strictObject({
        name: name('Whose device it is.'),
        publicKey: text('Its WireGuard public key.'),
      }),
    )
    .default([])
    .describe('Who may come in.'),
})
