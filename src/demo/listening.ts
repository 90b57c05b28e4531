/** Starting and stopping the doubles' servers: errors only before they listen, and an end that drops connections. */
import type { ListenOptions, Server } from "node:net";

/** Rejects with the listener's own error: EADDRINUSE, EACCES, … */
export function startListening(server: Server, at: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(at, () => {
      server.off("error", reject);
      // From here on only accept() can fail (EMFILE): that peer is refused, and the server continues.
      server.on("error", () => {});
      resolve();
    });
  });
}

/** Idempotent. */
export function stopListening(server: Server, dropConnections: () => void): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    dropConnections();
  });
}
