/** How a control plane ends: by draining, or at once where its start has failed. */
import type { InstalledExtensions } from "./install-extensions.ts";
import type { Port } from "./listener/port.ts";
import type { Parts } from "./parts.ts";

/** What runs beside the parts, and is stopped with them. */
export interface Running {
  extensions: InstalledExtensions | undefined;
  /** Files that are followed, timers. */
  stops: (() => void)[];
}

/** Leaves no timer, and the database closed. */
export function release(parts: Parts, { extensions, stops }: Running): void {
  for (const stop of stops) stop();
  parts.certificateExpiry.close();
  parts.reconnectSpread.close();
  parts.registry.close();
  extensions?.close();
  parts.bus.close();
  parts.tokens.close();
  parts.database.close();
}

/** Agents get GOAWAY; requests in flight finish, or are cut off at the deadline. */
export async function drain(parts: Parts, running: Running, port: Port, deadlineMs: number): Promise<void> {
  for (const stop of running.stops) stop();
  parts.bus.endReaders();
  port.stop();
  const startedAt = performance.now();
  const spreadMs = parts.reconnectSpread.ms;
  const ended = [...parts.openConnections].map((connection) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    connection.http2Session.once("close", resolve);
    connection.drain("draining", "the control plane is shutting down", deadlineMs, spreadMs);
    return promise;
  });
  parts.registry.close();
  running.extensions?.drain();
  await Promise.all(ended);
  // The tunnels have delivered everything; callers may still be reading it.
  await port.idle(deadlineMs - (performance.now() - startedAt));
  port.destroy();
  release(parts, running);
}
