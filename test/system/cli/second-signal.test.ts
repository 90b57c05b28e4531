/** A second signal exits at once: open connections are reset, so that nothing looks complete. */
import assert from "node:assert/strict";
import net from "node:net";
import type { Socket } from "node:net";
import { after, describe, it } from "node:test";
import { startAgent, startServe } from "../../support/commands.ts";
import type { Command } from "../../support/commands.ts";
import { next, within } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { ADMIN_TOKEN } from "../../support/system.ts";
import { startTarget } from "../../support/target.ts";

after(() => assertNothingOpen());

/** 'end' or the error's code. */
function endOf(socket: Socket): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  socket.once("end", () => resolve("end"));
  socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  socket.resume();
  return within(promise, "the end of a socket", 20_000);
}

describe("a second signal", () => {
  for (const whose of ["control plane", "agent"] as const) {
    it(`to the ${whose} resets a tunnel at both of its ends`, async () => {
      const accepted = Promise.withResolvers<Socket>();
      await using target = await startTarget((socket) => {
        socket.write("open");
        socket.once("data", () => accepted.resolve(socket)); // the agent's check sends nothing
      });
      await using serve = await startServe();
      await using agent = startAgent(serve.url, "r", `t=${target.address}`);
      await serve.logged("agent connected");
      const caller = net.connect(serve.port, "127.0.0.1");
      caller.write(`CONNECT t.r:1 HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Bearer ${ADMIN_TOKEN}\r\n\r\n`);
      const [response] = await next<[Buffer]>(caller, "data");
      assert.match(response.toString("latin1"), /^HTTP\/1\.1 200 /);
      caller.write("hello");
      const ends = [endOf(caller), endOf(await accepted.promise)];
      const command: Command = whose === "agent" ? agent : serve;
      command.signal("SIGTERM");
      await command.logged("draining; a second signal exits at once");
      assert.deepEqual(await command.end(), { code: 1, signal: null });
      assert.deepEqual(await Promise.all(ends), ["ECONNRESET", "ECONNRESET"]);
    });
  }
});
