/** What the doubles share: a listener that fails only before it listens, and an end that waits for nobody. */
import type { ListenOptions, Server } from "node:net";

/** Rejects with the listener's own error: EADDRINUSE, EACCES, … */
export function startListening(server: Server, at: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(at, () => {
      server.off("error", reject);
      // After listening only accept() can fail (EMFILE); that peer is refused and the server goes on.
      server.on("error", () => {});
      resolve();
    });
  });
}

/** Idempotent: a server that is closed already only reports so. */
export function stopListening(server: Server, dropConnections: () => void): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    dropConnections();
  });
}
