/** Writes a tar archive (POSIX.1-1988 ustar): regular files with short names, for their owner only. */

const BLOCK_BYTES = 512;
const MAX_NAME_BYTES = 100;
const FILE_MODE = 0o600;

/** One file with its header, in whole blocks. @throws RangeError for a name that is too long for a header */
export function tarEntry(name: string, content: string, time: Date): Buffer {
  const body = Buffer.from(content);
  const padding = (BLOCK_BYTES - (body.length % BLOCK_BYTES)) % BLOCK_BYTES;
  return Buffer.concat([header(name, body.length, time), body, Buffer.alloc(padding)]);
}

/** What an archive ends with. */
export function tarEnd(): Buffer {
  return Buffer.alloc(2 * BLOCK_BYTES);
}

function header(name: string, bytes: number, time: Date): Buffer {
  if (Buffer.byteLength(name) > MAX_NAME_BYTES) throw new RangeError(`tar: name too long: ${name}`);
  const block = Buffer.alloc(BLOCK_BYTES);
  block.write(name, 0);
  block.write(octal(FILE_MODE, 8), 100);
  block.write(octal(0, 8), 108); // user
  block.write(octal(0, 8), 116); // group
  block.write(octal(bytes, 12), 124);
  block.write(octal(Math.floor(time.getTime() / 1_000), 12), 136);
  block.fill(" ", 148, 156); // the checksum counts as spaces in itself
  block.write("0", 156); // a regular file
  block.write("ustar\u000000", 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\u0000 `, 148);
  return block;
}

/** With the NUL that ends the field. */
function octal(value: number, length: number): string {
  return `${value.toString(8).padStart(length - 1, "0")}\u0000`;
}
