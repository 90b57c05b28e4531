/**
 * Trap: on a bare Http2Stream a corked string write followed by an empty write sends freed memory. `http.request()`
 * with a string body does exactly that, and dockerode always.
 * Guard: src/wire/streams/tunnel-socket.ts makes Buffers of strings and drops empty writes.
 */
import Docker from "dockerode";
import assert from "node:assert/strict";
import http from "node:http";
import { after, describe, it } from "node:test";
import { createHttpAgent } from "../../src/clients/dial/http-agent.ts";
import { ending } from "../support/events.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { openSessionPair, echoStream } from "../support/session-pair.ts";
import { RUNNER, startSystem, TARGET } from "../support/system.ts";
import { startHttpTarget } from "../support/target.ts";

after(() => assertNothingOpen());

/** Says what it was sent; an `Upgrade: tcp` (docker's hijack) becomes an echo. */
async function startMirror() {
  const target = await startHttpTarget((request, response) => {
    let body = "";
    request.setEncoding("utf8");
    request.on("data", (text: string) => (body += text));
    request.on("end", () => {
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ method: request.method, url: request.url, body }));
    });
  });
  target.http.on("upgrade", (_request, socket, head) => {
    socket.write("HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n");
    socket.on("error", () => {});
    if (head.length > 0) socket.unshift(head);
    socket.pipe(socket);
  });
  return target;
}

describe("text that consumers write into a tunnel", () => {
  it("arrives whole when a corked string is followed by an empty write", async () => {
    await using pair = await openSessionPair({ onStream: echoStream });
    for (let i = 0; i < 50; i += 1) {
      const text = `${"A".repeat(40 + i * 11)}${i}`;
      const socket = pair.tunnel();
      const echo = ending(socket);
      socket.cork();
      socket.write(text, "latin1");
      socket.write("", "latin1");
      socket.uncork();
      socket.write(Buffer.alloc(0));
      socket.end();
      assert.equal((await echo).data.toString(), text);
    }
  });

  it("arrives whole from http.request with a string body, written or ended", async () => {
    await using system = await startSystem({ target: await startMirror() });
    const agent = createHttpAgent(system.controlPlane.dial, RUNNER, TARGET, { keepAlive: true });
    for (let i = 0; i < 100; i += 1) {
      const body = JSON.stringify({ i });
      const response = Promise.withResolvers<http.IncomingMessage>();
      const request = http.request({
        agent,
        method: "POST",
        path: `/x/${i}`,
        headers: { "content-length": body.length },
      });
      request.on("response", response.resolve);
      request.on("error", response.reject);
      if (i % 2 === 0) request.end(body);
      else {
        request.write(body);
        request.end();
      }
      const { data } = await ending(await response.promise);
      assert.deepEqual(JSON.parse(data.toString()), { method: "POST", url: `/x/${i}`, body });
    }
    agent.destroy();
  });

  it("arrives whole from dockerode, hijacked streams included", async () => {
    await using system = await startSystem({ target: await startMirror() });
    const agent = createHttpAgent(system.controlPlane.dial, RUNNER, TARGET);
    const docker = new Docker({ protocol: "http", host: "docker", port: 80, agent } as Docker.DockerOptions);
    for (let i = 0; i < 20; i += 1) {
      const response: unknown = await docker.checkAuth({ username: `user-${i}` });
      const seen = response as { url: string; body: string };
      assert.equal(seen.url, "/auth");
      assert.deepEqual(JSON.parse(seen.body), { username: `user-${i}` });
    }
    const exec = docker.getExec("abc");
    const stream = await exec.start({ hijack: true, stdin: true });
    const echo = ending(stream);
    stream.end("typed");
    // docker-modem sends the options as a body behind the upgrade; the mirror echoes them first.
    assert.match((await echo).data.toString(), /typed$/);
    agent.destroy();
  });
});
