/** The load generator: a caller of the control plane, or of the plain relay in its place. */
import { once } from "node:events";
import { BulkLoad } from "../load/bulk.ts";
import type { BulkKind } from "../load/bulk.ts";
import { RequestLoad } from "../load/requests.ts";
import type { RequestOptions, RequestResult } from "../load/requests.ts";
import { openRoute } from "../load/route.ts";
import type { Route } from "../load/route.ts";
import { serve } from "./serve.ts";
import type { ByteCount } from "./target.ts";

export interface LoadCalls {
  /** Opens the connections, and keeps them: returns a handle. */
  openRequests(options: RequestOptions): Promise<number>;
  run(handle: number, durationMs: number): Promise<RequestResult>;
  openBulk(route: Route, kind: BulkKind, streams: number): Promise<number>;
  /** Bytes that a download has received. */
  received(handle: number): ByteCount;
  close(handle: number): void;
  /** Milliseconds from the first byte of the connect to the first echoed byte, for each of `count` connections. */
  connectAndEcho(route: Route, count: number): Promise<number[]>;
}

const loads: (RequestLoad | BulkLoad)[] = [];

serve({
  openRequests: async (options) => loads.push(await RequestLoad.open(options)) - 1,
  run: async (handle, durationMs) => {
    const load = loads[handle];
    if (!(load instanceof RequestLoad)) throw new Error(`load ${handle} sends no requests`);
    return load.run(durationMs);
  },
  openBulk: async (route, kind, streams) => loads.push(await BulkLoad.open(route, kind, streams)) - 1,
  received: (handle) => {
    const load = loads[handle];
    if (!(load instanceof BulkLoad)) throw new Error(`load ${handle} is no download`);
    return load.received();
  },
  close: (handle) => loads[handle]?.close(),
  connectAndEcho: async (route, count) => {
    const times: number[] = [];
    for (let index = 0; index < count; index += 1) {
      const startedAt = performance.now();
      const socket = await openRoute(route);
      socket.write("?");
      await once(socket, "data");
      times.push(performance.now() - startedAt);
      socket.destroy();
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    return times;
  },
} satisfies LoadCalls);
