/** A control plane on a socket that it has inherited. */
import assert from "node:assert/strict";
import { closeSync, openSync, renameSync } from "node:fs";
import net from "node:net";
import { afterEach, describe, it } from "node:test";
import { listen } from "../../../src/control/listener/listen.ts";
import { descriptorOf } from "../../../src/wire/system/unsent-bytes.ts";
import { LISTEN_BACKLOG } from "../../../src/control/limits.ts";
import { next } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { startSuccessor } from "../../support/successor.ts";
import { startControlPlane } from "../../support/system.ts";
import { tempPath } from "../../support/temp.ts";

afterEach(() => assertNothingOpen());

describe("a control plane on an inherited descriptor", () => {
  it("listens on a Unix socket, and has an address without a port", async () => {
    const [path, bound] = [tempPath(".sock"), tempPath(".sock")];
    const holder = net.createServer();
    holder.listen(bound);
    await next(holder, "listening");
    renameSync(bound, path); // or the holder's close would remove it
    const successor = await startSuccessor(descriptorOf(holder));
    holder.close(); // or it might accept the connection itself
    await next(holder, "close");
    assert.deepEqual([successor.address.family, successor.address.port], ["unix", 0]);
    const socket = net.connect(path);
    socket.write("GET /healthz HTTP/1.0\r\n\r\n");
    const [chunk] = await next<[Buffer]>(socket, "data");
    assert.match(chunk.toString(), /^HTTP\/1\.1 200 /);
    socket.destroy();
    await successor.end();
  });

  it("does not start on what is no listening socket, and says so", async () => {
    const file = openSync("/dev/null", "r");
    for (const listenFd of [file, 1_000_000, -1, 1.5]) {
      await assert.rejects(startControlPlane({ listenFd }), {
        code: "config_invalid",
        message: /listenFd|listen on descriptor/,
      });
    }
    closeSync(file);
  });

  it("keeps the length of its queue", async (test) => {
    const server = net.createServer();
    const given: unknown[][] = [];
    test.mock.method(server, "listen", (...args: unknown[]) => {
      given.push(args.slice(0, 2));
      server.emit("listening");
      (args.at(-1) as () => void)();
      return server;
    });
    await listen(server, { port: 0, fd: 3 });
    assert.deepEqual(given, [[{ fd: 3 }, LISTEN_BACKLOG]]);
  });
});
