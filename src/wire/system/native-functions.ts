/** Functions of the C library, called by `node:ffi`: what node has no method for. */
import type { FunctionDefinitions, WrappedFunctionsFromDefinitions } from "node:ffi";

/**
 * @param library Its file; null: what node itself is linked with
 * @returns undefined where they cannot be called: another C library, or a Node without `node:ffi`
 */
export function nativeFunctions<const T extends FunctionDefinitions>(
  library: string | null,
  definitions: T,
): WrappedFunctionsFromDefinitions<T> | undefined {
  const emitWarning: unknown = Reflect.get(process, "emitWarning");
  try {
    process.emitWarning = ignore; // that node:ffi is experimental: not an operator's business
    return process.getBuiltinModule("node:ffi").dlopen(library, definitions).functions;
  } catch {
    return undefined;
  } finally {
    Reflect.set(process, "emitWarning", emitWarning);
  }
}

function ignore(): void {}
