/** Counts what a synchronous piece of code does with Buffers: bytes that are copied or decoded, and slices made. */
import { mock } from "node:test";

/** Not time: a figure that is the same on a busy machine. Node's own code that copies within C++ is not seen. */
export function countWork(run: () => void): number {
  let work = 0;
  const concat = Buffer.concat.bind(Buffer);
  const concatenated = mock.method(
    Buffer,
    "concat",
    (list: readonly Uint8Array[], length?: number): Buffer => {
      const bytes = concat(list, length);
      work += bytes.length + list.length;
      return bytes;
    },
  );
  const methods = (["copy", "set", "subarray", "toString", "indexOf"] as const).map((name) => {
    const original: (...given: unknown[]) => unknown = Reflect.get(Buffer.prototype, name);
    return mock.method(Buffer.prototype, name, function counted(this: Buffer, ...given: unknown[]): unknown {
      work += 1 + bytesOf(name, this, given);
      return original.apply(this, given);
    });
  });
  try {
    run();
  } finally {
    for (const { mock: one } of [concatenated, ...methods]) one.restore();
  }
  return work;
}

function bytesOf(name: string, buffer: Buffer, given: readonly unknown[]): number {
  if (name === "subarray") return 0;
  if (name === "set") return given[0] instanceof Uint8Array ? given[0].length : 0;
  return buffer.length;
}
