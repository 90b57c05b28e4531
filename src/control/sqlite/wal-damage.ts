/**
 * Whether a WAL was damaged while no process used it. SQLite reads it up to the first frame whose checksum is wrong and ignores
 * all frames behind that one, without an error: changes that were acknowledged would be lost unnoticed.
 *
 * Format: https://sqlite.org/fileformat2.html#the_write_ahead_log. Frames of an earlier use of the file have other salts: such
 * ones behind the last frame are ordinary.
 */
import { closeSync, openSync, readSync, statSync } from "node:fs";

const HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
/** Its last bit says in which byte order the checksums were made. */
const MAGIC = 0x377f0682;
const MAX_PAGE_BYTES = 65_536;
/** Looked at. SQLite keeps a WAL at some 4 MB unless a reader holds up its checkpoints. */
const MAX_WAL_BYTES: number = 64 * 1024 * 1024;

export interface WalDamage {
  /** Where the first frame is that SQLite does not read. */
  atByte: number;
  /** Frames of the same WAL from there on. */
  ignoredFrames: number;
}

type Checksum = readonly [number, number];

/** Undefined: whole, absent, or empty. @throws an error of the system */
export function walDamageOf(file: string): WalDamage | undefined {
  const size = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  if (size <= HEADER_BYTES) return undefined;
  const descriptor = openSync(file, "r");
  try {
    return damageIn(readerOf(descriptor), Math.min(size, MAX_WAL_BYTES));
  } finally {
    closeSync(descriptor);
  }
}

type Read = (at: number, length: number) => Buffer;

function readerOf(descriptor: number): Read {
  return (at, length) => {
    const bytes = Buffer.alloc(length);
    return bytes.subarray(0, readSync(descriptor, bytes, 0, length, at));
  };
}

function damageIn(read: Read, size: number): WalDamage | undefined {
  const header = read(0, HEADER_BYTES);
  const pageBytes = header.readUInt32BE(8) || MAX_PAGE_BYTES;
  const isPageSize = pageBytes >= 512 && pageBytes <= MAX_PAGE_BYTES && (pageBytes & (pageBytes - 1)) === 0;
  const magic = header.readUInt32BE(0);
  const isBigEndian = (magic & 1) === 1;
  let sum = checksum(header.subarray(0, 24), [0, 0], isBigEndian);
  if ((magic & ~1) >>> 0 !== MAGIC || !isPageSize || !isSum(header, 24, sum)) {
    return { atByte: 0, ignoredFrames: Math.floor((size - HEADER_BYTES) / (FRAME_HEADER_BYTES + 4_096)) };
  }
  const salts = header.subarray(16, 24);
  const frameBytes = FRAME_HEADER_BYTES + pageBytes;
  let damagedAt: number | undefined;
  let ignoredFrames = 0;
  for (let at = HEADER_BYTES; at + frameBytes <= size; at += frameBytes) {
    const frame = read(at, damagedAt === undefined ? frameBytes : FRAME_HEADER_BYTES);
    const isOfThisWal = frame.subarray(8, 16).equals(salts);
    if (damagedAt === undefined) {
      sum = checksum(frame.subarray(0, 8), sum, isBigEndian);
      sum = checksum(frame.subarray(FRAME_HEADER_BYTES), sum, isBigEndian);
      if (isOfThisWal && isSum(frame, 16, sum)) continue;
      damagedAt = at;
    }
    if (isOfThisWal) ignoredFrames += 1;
  }
  if (damagedAt === undefined || ignoredFrames === 0) return undefined;
  return { atByte: damagedAt, ignoredFrames };
}

function checksum(bytes: Buffer, [first, second]: Checksum, isBigEndian: boolean): Checksum {
  let [a, b] = [first, second];
  for (let at = 0; at + 8 <= bytes.length; at += 8) {
    a = (a + (isBigEndian ? bytes.readUInt32BE(at) : bytes.readUInt32LE(at)) + b) >>> 0;
    b = (b + (isBigEndian ? bytes.readUInt32BE(at + 4) : bytes.readUInt32LE(at + 4)) + a) >>> 0;
  }
  return [a, b];
}

/** The checksum that is stored there: always big-endian. */
function isSum(bytes: Buffer, at: number, [first, second]: Checksum): boolean {
  return bytes.readUInt32BE(at) === first && bytes.readUInt32BE(at + 4) === second;
}
