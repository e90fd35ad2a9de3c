/** PyTorch: `.pt`, `.pth` and `.bin`, as an archive or as pickles in a row; never loaded, only looked at. Source: torch/serialization.py. */
import { scanPickle, type PickleScan } from './pickle.ts'
import { fetchAgain, FormatError, shown, type Reading } from './reading.ts'
import type { StoredTensor } from './safetensors.ts'
import { readEntry, readZip } from './zip.ts'

export type PytorchFile = {
  container: 'zip' | 'legacy' | 'pickle'
  tensors: StoredTensor[]
  storageBytes: number
  pickle: PickleFacts
  /** TorchScript: Python source that is compiled when it is loaded. */
  code: boolean
}

/** What loading would run. */
export type PickleFacts = {
  imports: { name: string; times: number; verdict: 'tensors' | 'allowed' | 'refused' }[]
  /** Opcodes that call, with how often. */
  calls: { opcode: string; times: number }[]
}

const mostPickleBytes = 64 * 1024 * 1024
const firstPrefix = 1024 * 1024

/** `allowed`: names that whoever asks trusts besides. Throws FormatError. */
export function* readPytorch(
  size: number,
  { zipped, allowed }: { zipped: boolean; allowed: ReadonlySet<string> },
): Reading<PytorchFile> {
  return zipped ? yield* readArchive(size, allowed) : yield* readLegacy(size, allowed)
}

function* readArchive(size: number, allowed: ReadonlySet<string>): Reading<PytorchFile> {
  const entries = yield* readZip(size)
  const pickles = entries.filter(({ name }) => /(^|\/)[^/]*\.pkl$/.test(name))
  if (!pickles.some(({ name }) => /(^|\/)data\.pkl$/.test(name)))
    throw new FormatError(
      null,
      `an archive without data.pkl (it has ${shown(entries[0]?.name ?? 'nothing')}), so no PyTorch file`,
      'Name a .pt, .pth or .bin that torch.save wrote.',
    )
  const scans: PickleScan[] = []
  for (const entry of pickles.slice(0, 8)) {
    const scan = scanPickle(yield* readEntry(entry, mostPickleBytes), 0)
    if (scan === null) throw new FormatError(entry.headerAt, `'${shown(entry.name)}' ends too early`, fetchAgain)
    scans.push(scan)
  }
  return {
    container: 'zip',
    ...gather(scans, allowed),
    code: entries.some(({ name }) => /(^|\/)code\/.*\.py$/.test(name)),
  }
}

/** Before 1.6: five pickles (a number, a protocol, the system, the model, its storages), then the storages. Or just one. */
function* readLegacy(size: number, allowed: ReadonlySet<string>): Reading<PytorchFile> {
  for (let bytes = firstPrefix; ; bytes *= 8) {
    const prefix = yield { kind: 'bytes', at: 0, bytes: Math.min(bytes, mostPickleBytes, size) }
    const scans = scanInRow(prefix)
    if (scans !== null)
      return { container: scans.length === 1 ? 'pickle' : 'legacy', ...gather(scans, allowed), code: false }
    if (prefix.length >= size)
      throw new FormatError(size, 'the pickle goes on behind the end of the file', 'It is not whole: fetch it again.')
    if (bytes >= mostPickleBytes || prefix.length < bytes)
      throw new FormatError(
        mostPickleBytes,
        `a pickle of more than ${mostPickleBytes} bytes is not looked through`,
        'Convert it to safetensors where it was made.',
      )
  }
}

/** A file that starts with torch's magic number has five; any other has one. */
function scanInRow(bytes: Uint8Array): PickleScan[] | null {
  const scans: PickleScan[] = []
  const wanted = isTorch(bytes) ? 5 : 1
  while (scans.length < wanted) {
    const scan = scanPickle(bytes, scans.at(-1)?.end ?? 0)
    if (scan === null) return null
    scans.push(scan)
  }
  return scans
}

/** PROTO 2, LONG1 of ten bytes, 0x1950a86a20f9469cfc6c. */
const torchMagic = [0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19]
const isTorch = (bytes: Uint8Array): boolean => torchMagic.every((byte, i) => bytes[i] === byte)

function gather(
  scans: readonly PickleScan[],
  allowed: ReadonlySet<string>,
): Pick<PytorchFile, 'tensors' | 'storageBytes' | 'pickle'> {
  const imports = addUp(scans.map(({ globals }) => globals)).map(([name, times]) => ({
    name: shown(name),
    times,
    verdict: verdictOf(name, allowed),
  }))
  return {
    tensors: scans.flatMap(({ tensors }) => tensors),
    storageBytes: scans.reduce((sum, { storageBytes }) => sum + storageBytes, 0),
    pickle: { imports, calls: addUp(scans.map(({ calls }) => calls)).map(([opcode, times]) => ({ opcode, times })) },
  }
}

function addUp(counts: readonly Map<string, number>[]): [string, number][] {
  const sum = new Map<string, number>()
  for (const each of counts) for (const [name, times] of each) sum.set(name, (sum.get(name) ?? 0) + times)
  return [...sum].toSorted(([a], [b]) => (a < b ? -1 : 1))
}

/** What torch itself takes with `weights_only=True`: it makes tensors and plain collections, and nothing else. */
const makesTensors = new Set([
  'collections.OrderedDict',
  'collections.Counter',
  'torch.Size',
  'torch.Tensor',
  'torch.device',
  'torch.nn.parameter.Parameter',
  'torch.nn.parameter.Buffer',
  'torch.serialization._get_layout',
  'torch.storage.TypedStorage',
  'torch.storage.UntypedStorage',
  'torch._tensor._rebuild_from_type_v2',
  '_codecs.encode',
  'builtins.set',
  'builtins.bytearray',
  '__builtin__.set',
])

const torchTypes =
  /^torch\.(\w+Storage|float(16|32|64)|bfloat16|half|double|float8_\w+|u?int(8|16|32|64)|bool|complex(32|64|128)|q(u?int8|int32))$/
const torchRebuilds =
  /^torch\._utils\._rebuild_(tensor(_v[23])?|parameter(_with_state)?|qtensor|sparse_tensor|meta_tensor_no_storage|device_tensor_from_numpy|nested_tensor)$/

function verdictOf(name: string, allowed: ReadonlySet<string>): 'tensors' | 'allowed' | 'refused' {
  if (makesTensors.has(name) || torchTypes.test(name) || torchRebuilds.test(name)) return 'tensors'
  return allowed.has(name) ? 'allowed' : 'refused'
}
