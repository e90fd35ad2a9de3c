/** ZIP: the list of an archive's entries and the bytes of small ones. For PyTorch's files, which are archives. APPNOTE.TXT 6.3. */
import { fetchAgain, FormatError, shown, type Reading } from './reading.ts'
import { textOf } from './text.ts'

export type ZipEntry = { name: string; method: number; storedBytes: number; bytes: number; headerAt: number }

const endBytes = 22
const mostCommentBytes = 65_535
const mostEntries = 262_144
const mostDirectoryBytes = 64 * 1024 * 1024
const stored = 0
const deflated = 8
const in64 = 0xffff_ffff

/** Throws FormatError. */
export function* readZip(size: number): Reading<ZipEntry[]> {
  if (size === Infinity)
    throw new FormatError(
      null,
      'an archive’s list stands at its end, and nobody tells where that is',
      'Fetch the file first.',
    )
  const directory = yield* findDirectory(size)
  const { at, bytes, count } = directory
  if (count > mostEntries || bytes > mostDirectoryBytes || count * 46 > bytes || at + bytes > size)
    throw new FormatError(at, `an archive of ${count} entries in ${bytes} bytes`, fetchAgain)
  const view = yield* viewAt(at, bytes)
  const entries: ZipEntry[] = []
  for (let i = 0, offset = 0; i < count; i++) {
    if (offset + 46 > bytes || view.getUint32(offset, true) !== 0x02014b50)
      throw new FormatError(at + offset, `entry ${i + 1} of ${count} is none`, fetchAgain)
    const [nameBytes, extraBytes, commentBytes] = [28, 30, 32].map(place => view.getUint16(offset + place, true))
    const end = offset + 46 + (nameBytes ?? 0) + (extraBytes ?? 0) + (commentBytes ?? 0)
    if (end > bytes) throw new FormatError(at + offset, `entry ${i + 1} goes beyond the list`, fetchAgain)
    entries.push(toEntry(new DataView(view.buffer, view.byteOffset + offset, end - offset)))
    offset = end
  }
  checkPlaces(entries, at)
  return entries
}

/** All bytes of an entry. Throws FormatError: it has more than `most`, or can't be read. */
export function* readEntry(entry: ZipEntry, most: number): Reading<Uint8Array> {
  const { name, method, storedBytes, bytes, headerAt } = entry
  if (method !== stored && method !== deflated)
    throw new FormatError(
      headerAt,
      `'${shown(name)}' is packed by method ${method}`,
      'Only stored and deflated ones are read.',
    )
  if (storedBytes > most || bytes > most)
    throw new FormatError(
      headerAt,
      `'${shown(name)}' has ${Math.max(bytes, storedBytes)} bytes; at most ${most} are read`,
      fetchAgain,
    )
  const header = yield* viewAt(headerAt, 30)
  if (header.getUint32(0, true) !== 0x04034b50)
    throw new FormatError(headerAt, `'${shown(name)}' is not here`, fetchAgain)
  const at = headerAt + 30 + header.getUint16(26, true) + header.getUint16(28, true)
  const packed = yield { kind: 'bytes', at, bytes: storedBytes }
  if (packed.length < storedBytes)
    throw new FormatError(at, `'${shown(name)}' is cut`, 'It is not whole: fetch it again.')
  if (method === stored) return packed
  const unpacked = yield { kind: 'inflate', deflated: packed, most: bytes + 1 }
  if (unpacked.length !== bytes)
    throw new FormatError(
      at,
      `'${shown(name)}' unpacks to other than the ${bytes} bytes that are announced`,
      fetchAgain,
    )
  return unpacked
}

/** The end record, found backwards over a comment; 64-bit archives have another one before it. */
function* findDirectory(size: number): Reading<{ at: number; bytes: number; count: number }> {
  const tailBytes = Math.min(size, endBytes + mostCommentBytes)
  const tailAt = size - tailBytes
  const tail = yield* viewAt(tailAt, tailBytes)
  for (let offset = tailBytes - endBytes; offset >= 0; offset--) {
    if (tail.getUint32(offset, true) !== 0x06054b50) continue
    if (tail.getUint16(offset + 20, true) !== tailBytes - endBytes - offset) continue
    const found = {
      count: tail.getUint16(offset + 10, true),
      bytes: tail.getUint32(offset + 12, true),
      at: tail.getUint32(offset + 16, true),
    }
    const needs64 = found.count === 0xffff || found.bytes === in64 || found.at === in64
    return needs64 ? yield* findDirectory64(tailAt + offset) : found
  }
  throw new FormatError(size, 'the list at the end of the archive is missing', 'It is not whole: fetch it again.')
}

function* findDirectory64(endAt: number): Reading<{ at: number; bytes: number; count: number }> {
  const locatorAt = endAt - 20
  if (locatorAt < 0) throw new FormatError(endAt, 'a 64-bit archive without a 64-bit list', fetchAgain)
  const locator = yield* viewAt(locatorAt, 20)
  const at = Number(locator.getBigUint64(8, true))
  if (locator.getUint32(0, true) !== 0x07064b50 || at + 56 > locatorAt)
    throw new FormatError(locatorAt, 'a 64-bit archive without a 64-bit list', fetchAgain)
  const end = yield* viewAt(at, 56)
  if (end.getUint32(0, true) !== 0x06064b50) throw new FormatError(at, 'no end record of a 64-bit archive', fetchAgain)
  return {
    count: Number(end.getBigUint64(32, true)),
    bytes: Number(end.getBigUint64(40, true)),
    at: Number(end.getBigUint64(48, true)),
  }
}

function toEntry(view: DataView): ZipEntry {
  const nameBytes = view.getUint16(28, true)
  const entry = {
    name: textOf(new Uint8Array(view.buffer, view.byteOffset + 46, nameBytes)),
    method: view.getUint16(10, true),
    storedBytes: view.getUint32(20, true),
    bytes: view.getUint32(24, true),
    headerAt: view.getUint32(42, true),
  }
  const extra = new DataView(view.buffer, view.byteOffset + 46 + nameBytes, view.getUint16(30, true))
  for (let at = 0; at + 4 <= extra.byteLength; at += 4 + extra.getUint16(at + 2, true)) {
    if (extra.getUint16(at, true) !== 1) continue
    const end = Math.min(extra.byteLength, at + 4 + extra.getUint16(at + 2, true))
    let field = at + 4
    const next = (): number => {
      field += 8
      return field <= end ? Number(extra.getBigUint64(field - 8, true)) : Infinity
    }
    // Only those that did not fit stand here, in this order.
    if (entry.bytes === in64) entry.bytes = next()
    if (entry.storedBytes === in64) entry.storedBytes = next()
    if (entry.headerAt === in64) entry.headerAt = next()
    break
  }
  return entry
}

/** Entries that share bytes make small archives unpack to anything. */
function checkPlaces(entries: readonly ZipEntry[], directoryAt: number): void {
  let last = 0
  for (const { name, headerAt, storedBytes } of entries.toSorted((a, b) => a.headerAt - b.headerAt)) {
    if (headerAt < last) throw new FormatError(headerAt, `'${shown(name)}' overlaps another entry`, fetchAgain)
    last = headerAt + 30 + storedBytes
    if (last > directoryAt) throw new FormatError(headerAt, `'${shown(name)}' goes beyond the archive`, fetchAgain)
  }
}

function* viewAt(at: number, bytes: number): Reading<DataView> {
  const got = yield { kind: 'bytes', at, bytes }
  if (got.length < bytes)
    throw new FormatError(at + got.length, 'the archive ends here', 'It is not whole: fetch it again.')
  return new DataView(got.buffer, got.byteOffset, got.byteLength)
}
