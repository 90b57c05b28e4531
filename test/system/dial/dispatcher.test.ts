/** undici over createDispatcher(). */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { fetch, request, WebSocket } from "undici";
import type { Dispatcher } from "undici";
import { createDispatcher, TurnaboutError } from "../../../src/index.ts";
import { MOONLIGHT_CREDENTIALS, MOONLIGHT_RUNNER, startDoubles, WOLF_RUNNER } from "../../support/doubles.ts";
import { eventually, within } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { RUNNER, startSystem, TARGET } from "../../support/system.ts";
import type { System } from "../../support/system.ts";
import { startHttpTarget } from "../../support/target.ts";

afterEach(() => assertNothingOpen());

async function withDispatcher(
  { controlPlane }: System,
  run: (dispatcher: Dispatcher) => Promise<void>,
): Promise<void> {
  const dispatcher = createDispatcher(controlPlane.dial);
  try {
    await run(dispatcher);
  } finally {
    await dispatcher.destroy();
  }
}

const ECHO = `http://${TARGET}.${RUNNER}`;

describe("fetch over dialled streams", () => {
  it("calls Wolf and Moonlight Web by name, each with the caller's own credential", async () => {
    await using doubles = await startDoubles();
    await withDispatcher(doubles.system, async (dispatcher) => {
      const apps = await fetch(`http://wolf.${WOLF_RUNNER}/api/v1/apps`, { dispatcher });
      assert.equal(((await apps.json()) as { success: boolean }).success, true);
      const hosts = await fetch(`http://moonlight.${MOONLIGHT_RUNNER}:8080/api/hosts`, {
        dispatcher,
        headers: { authorization: `Bearer ${MOONLIGHT_CREDENTIALS}` },
      });
      assert.equal(hosts.status, 200);
      assert.ok("hosts" in ((await hosts.json()) as object));
    });
  });

  it("takes a kept-alive stream over, so that many requests cost one connection", async () => {
    let connections = 0;
    const target = await startHttpTarget((_request, response) => response.end("ok"));
    target.http.on("connection", () => (connections += 1));
    await using system = await startSystem({ target });
    const dispatcher = createDispatcher(system.controlPlane.dial, { connections: 1 });
    for (let n = 1; n <= 10; n += 1) assert.equal(await (await fetch(ECHO, { dispatcher })).text(), "ok");
    await dispatcher.destroy();
    assert.equal(connections, 1);
  });

  it("streams a request body while the response arrives", async () => {
    const target = await startHttpTarget((request, response) => request.pipe(response));
    await using system = await startSystem({ target });
    await withDispatcher(system, async (dispatcher) => {
      const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
      const writer = writable.getWriter();
      void writer.write(Buffer.from("first"));
      const response = await fetch(ECHO, { dispatcher, method: "POST", body: readable, duplex: "half" });
      const reader = response.body?.getReader();
      assert.ok(reader);
      for (const part of ["first", "second"]) {
        if (part === "second") void writer.write(Buffer.from(part));
        const { value } = (await within(reader.read(), part)) as { value?: Uint8Array };
        assert.equal(Buffer.from(value ?? []).toString(), part);
      }
      await writer.close();
      assert.equal((await within(reader.read(), "the end")).done, true);
    });
  });

  it("gives an aborted request up at the target", async () => {
    const target = await startHttpTarget(() => {});
    await using system = await startSystem({ target });
    await withDispatcher(system, async (dispatcher) => {
      const controller = new AbortController();
      const response = fetch(ECHO, { dispatcher, signal: controller.signal });
      response.catch(() => {});
      await within(target.accepted(), "the target's connection");
      controller.abort();
      await assert.rejects(response, { name: "AbortError" });
      await eventually(() => target.sockets.size === 0, "the target's connection closed");
    });
  });

  it("gives a refused dial as the error, with its code", async () => {
    await using system = await startSystem();
    await withDispatcher(system, async (dispatcher) => {
      for (const [url, code] of [
        [`http://${TARGET}.never-seen/`, "runner_unknown"],
        [`http://other.${RUNNER}/`, "target_unknown"],
        [`https://${TARGET}.${RUNNER}/`, "bad_request"],
        ["http://localhost/", "bad_request"],
      ]) {
        await assert.rejects(request(String(url), { dispatcher }), (error) => {
          assert.ok(error instanceof TurnaboutError);
          assert.equal(error.code, code);
          return true;
        });
      }
    });
  });

  it("opens a WebSocket", async () => {
    await using doubles = await startDoubles();
    await withDispatcher(doubles.system, async (dispatcher) => {
      const socket = new WebSocket(`ws://moonlight.${MOONLIGHT_RUNNER}/api/ws/echo`, { dispatcher });
      const { promise, resolve, reject } = Promise.withResolvers<unknown>();
      socket.addEventListener("open", () => socket.send("hello"));
      socket.addEventListener("error", ({ error }) => reject(error));
      socket.addEventListener("message", ({ data }) => resolve(data));
      assert.equal(await within(promise, "the echo"), "hello");
      const closed = new Promise((resolve) => socket.addEventListener("close", resolve));
      socket.close(1000);
      await within(closed, "the close");
    });
  });
});
