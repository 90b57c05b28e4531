/** The child's side of a worker process: methods that the parent calls over IPC. `worker.ts` is the parent's. */
import type { Usage } from "../usage.ts";
import { usageNow } from "../usage.ts";

/** What every worker serves besides its own methods. */
export interface CommonCalls {
  usage(): Usage;
  /** Collects garbage first, where the process was started with `--expose-gc`. */
  settledUsage(): Promise<Usage>;
}

export interface Call {
  id: number;
  method: string;
  args: unknown[];
}

export interface CallResult {
  id: number;
  value?: unknown;
  error?: string;
}

const COMMON: CommonCalls = {
  usage: usageNow,
  settledUsage: async () => {
    for (let round = 0; round < 5; round += 1) {
      globalThis.gc?.();
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    return usageNow();
  },
};

export function serve(calls: object): void {
  const methods = new Map(
    Object.entries({ ...COMMON, ...calls }) as [string, (...args: unknown[]) => unknown][],
  );
  process.on("message", (call: Call) => void respond(call, methods));
  process.on("disconnect", () => process.exit(0));
  process.send?.({ id: 0 } satisfies CallResult);
}

async function respond(call: Call, methods: Map<string, (...args: unknown[]) => unknown>): Promise<void> {
  let result: CallResult;
  try {
    const method = methods.get(call.method);
    if (method === undefined) throw new Error(`no method ${call.method}`);
    result = { id: call.id, value: await method(...call.args) };
  } catch (error) {
    result = { id: call.id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
  // A parent that has gone has no use for the result.
  process.send?.(result, () => {});
}
