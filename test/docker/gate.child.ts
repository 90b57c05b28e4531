/**
 * Runs inside an engine's network and connects there for a test outside of it: a Unix socket is the same from both.
 * A connection begins with its destination as one line of JSON: `["172.19.0.20",8080]`.
 *
 *     nsenter --net=FILE node gate.child.ts SOCKET
 */
import { createServer, connect } from "node:net";
import type { Socket } from "node:net";

const MAX_LINE_BYTES = 512;

const [, , path = ""] = process.argv;

const server = createServer({ allowHalfOpen: true }, (inner) => {
  inner.on("error", () => inner.destroy());
  let head = Buffer.alloc(0);
  const look = (chunk: Buffer): void => {
    head = Buffer.concat([head, chunk]);
    const end = head.indexOf("\n");
    if (end < 0 && head.length <= MAX_LINE_BYTES) return;
    inner.off("data", look);
    inner.pause();
    if (end < 0) return void inner.destroy();
    const [host, port] = JSON.parse(head.toString("utf8", 0, end)) as [string, number];
    const rest = head.subarray(end + 1);
    if (rest.length > 0) inner.unshift(rest);
    join(inner, connect({ host, port, allowHalfOpen: true }));
  };
  inner.on("data", look);
});
server.listen(path, () => process.stdout.write("ready\n"));
// Standard input is a pipe that the test holds: this process ends with the test.
process.stdin.resume().once("close", () => process.exit(0));

/** A half-close is passed on. A reset from outside becomes a FIN, because Unix sockets have no reset. */
function join(inner: Socket, outer: Socket): void {
  outer.on("error", () => outer.destroy());
  inner.once("close", () => {
    if (!inner.readableEnded) outer.resetAndDestroy();
  });
  outer.once("close", () => {
    if (!outer.readableEnded) inner.destroy();
  });
  outer.once("connect", () => {
    inner.pipe(outer);
    outer.pipe(inner);
  });
}
