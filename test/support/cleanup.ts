/** What a fixture has opened is closed when its test ends, however it ends: also where a factory fails half way. */
import { getTestContext } from "node:test";

/** A test's, or a suite's for what its `before` hooks open. */
const stacks = new WeakMap<object, AsyncDisposableStack>();

/**
 * Registers `close` with the test that runs, last opened first closed. Called as soon as there is something to close.
 *
 * @returns `close`, to be called earlier; it runs once
 */
export function closedAtTheEnd(close: () => Promise<void>): () => Promise<void> {
  let closed: Promise<void> | undefined;
  const once = (): Promise<void> => (closed ??= close());
  stackOfTest()?.defer(once);
  return once;
}

/** Undefined where no test runs: at the top of a test file, in a script. */
function stackOfTest(): AsyncDisposableStack | undefined {
  const context = getTestContext();
  if (context === undefined || !("after" in context)) return undefined;
  const known = stacks.get(context);
  if (known !== undefined && !known.disposed) return known;
  const stack = new AsyncDisposableStack();
  stacks.set(context, stack);
  context.after(() => stack.disposeAsync());
  return stack;
}
