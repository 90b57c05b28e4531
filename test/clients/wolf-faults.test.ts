/** The Wolf client against what no Wolf should do, and some do: each has its own error, and no connection stays. */
import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { afterEach, describe, test } from "node:test";
import { createWolfClient } from "../../src/clients/wolf/client.ts";
import type { WolfClient } from "../../src/clients/wolf/client.ts";
import { lossOf } from "../../src/wire/streams/stream-error.ts";
import { ending, eventually, within } from "../support/events.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { promptly } from "../support/stopwatch.ts";
import { refusingAddress, startTarget } from "../support/target.ts";
import type { TestTarget } from "../support/target.ts";
import { code, reach } from "./reach.ts";
import type { Reached, ConnectionKind } from "./reach.ts";

const KINDS: readonly ConnectionKind[] = ["unix", "tunnel", "remote"];

const runner = { type: "process" as const, run_cmd: "true" };

for (const kind of KINDS) {
  describe(`Wolf's client and a bad Wolf, ${kind}`, () => {
    let target: TestTarget;
    let reached: Reached;

    afterEach(async () => {
      try {
        await eventually(() => target.sockets.size === 0, "the end of all connections");
      } finally {
        await reached[Symbol.asyncDispose]();
        await target.close();
      }
      await assertNothingOpen();
    });

    /** Wolf in place of Wolf: `respond` gets each connection once its request has begun to come. */
    async function start(respond: (socket: Socket) => void): Promise<WolfClient> {
      const onSocket = (socket: Socket): void => {
        socket.once("data", () => respond(socket));
        // On a Unix socket a close looks like FIN; nobody but a caller that has gone sends one.
        socket.once("end", () => socket.destroy());
      };
      target = await startTarget(onSocket, { on: "unix" });
      reached = await reach(kind, "wolf", target.address);
      return createWolfClient(reached.open);
    }

    const whole = (body: string, status = 200) =>
      `HTTP/1.0 ${status} OK\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;

    test("ends a call that never gets a response, and Wolf sees its connection close", async () => {
      const wolf = await start(() => {});
      const calling = assert.rejects(wolf.apps.list({ timeoutMs: 1_000 }), code("response_timeout"));
      const seen = await ending(await target.accepted());
      assert.notEqual(seen.kind, "closed");
      await calling;
    });

    test("takes an abort to Wolf within a second", async () => {
      const wolf = await start(() => {});
      const giveUp = new AbortController();
      const calling = assert.rejects(wolf.system.memory({ signal: giveUp.signal }), code("aborted"));
      const socket = await target.accepted();
      const gone = ending(socket);
      giveUp.abort(new Error("the user has left"));
      await promptly(gone, "the end at Wolf", 1_000);
      await calling;
    });

    test("passes an abort in the middle of a response on to Wolf", async () => {
      const wolf = await start((socket) => {
        socket.write("HTTP/1.0 200 OK\r\nContent-Length: 100\r\n\r\n{");
      });
      const giveUp = new AbortController();
      const calling = assert.rejects(wolf.apps.list({ signal: giveUp.signal }), code("aborted"));
      const gone = ending(await target.accepted());
      giveUp.abort();
      await gone;
      await calling;
    });

    test("distinguishes no response from one that is cut short", async () => {
      const responses = ["", "HTTP/1.0 200", "HTTP/1.0 200 OK\r\nContent-Length: 100\r\n\r\n{"];
      const wolf = await start((socket) => socket.end(responses.shift() ?? ""));
      await wolf.sessions.startRunner("1", runner, { stopStreamWhenOver: false });
      for (let n = 0; n < 2; n += 1) {
        const starting = wolf.sessions.startRunner("1", runner, { stopStreamWhenOver: false });
        await assert.rejects(starting, { name: "TurnaboutError", code: /^target_(closed|protocol)$/ });
      }
      assert.equal(responses.length, 0);
    });

    test("does not take a reset for runners/start's silence", async () => {
      const wolf = await start((socket) => {
        // A Unix socket resets when it is closed with something unread.
        socket.pause();
        socket.destroy();
      });
      const body = "x".repeat(4 * 1024 * 1024);
      const big = { type: "process" as const, run_cmd: body };
      const starting = wolf.sessions.startRunner("1", big, { stopStreamWhenOver: false });
      await assert.rejects(starting, { name: "TurnaboutError" });
    });

    test("reports that an image pull was cut by a reset, not that it is complete", async () => {
      const wolf = await start((socket) => {
        // A Unix socket resets when it is closed with something unread.
        socket.pause();
        socket.write('HTTP/1.0 200 OK\r\n\r\n{"layer_id":"a"}\r\n', () => socket.destroy());
      });
      const name = "x".repeat(120 * 1024); // leaves at once, and not in one piece
      const read = async (): Promise<void> => {
        for await (const { layer_id } of wolf.images.pull(name)) assert.equal(layer_id, "a");
      };
      await assert.rejects(read(), code("target_closed"));
    });

    test("lets go of an image pull that its reader breaks off", async () => {
      const wolf = await start((socket) => socket.write('HTTP/1.0 200 OK\r\n\r\n{"layer_id":"a"}\r\n'));
      for await (const { layer_id } of wolf.images.pull("a:1")) {
        assert.equal(layer_id, "a");
        break;
      }
      await eventually(() => target.sockets.size === 0, "the end of the pull's connection");
    });

    test("ends an image pull that stalls", async () => {
      const wolf = await start((socket) => socket.end('HTTP/1.0 200 OK\r\n\r\n{"layer_id":"a"}\n\n{"x":1}'));
      const seen: unknown[] = [];
      for await (const line of wolf.images.pull("a:1")) seen.push(line);
      assert.deepEqual(seen, [{ layer_id: "a" }, { x: 1 }]);
    });

    test("hears in a pull's last line that it failed", async () => {
      const wolf = await start((socket) => {
        socket.end('HTTP/1.0 200 OK\r\n\r\n{"layer_id":"a"}\r\n{"success":false,"error":"no space"}\r\n');
      });
      const pull = wolf.images.pull("a:1");
      await pull.next();
      await assert.rejects(pull.next(), { name: "WolfError", reason: "no space" });
    });

    test("reports what is not HTTP, not JSON, or not the expected response", async () => {
      const responses = [
        "SSH-2.0-OpenSSH_9.2\r\n\r\n",
        whole("<html>"),
        whole('{"success":true}'),
        whole('{"success":true,"apps":[{"id":"1"}]}'),
        whole('{"success":false,"error":"Sorry"}'),
        whole("Chunked encoding not supported, use HTTP/1.0 instead", 500),
        whole("", 404),
      ];
      const wolf = await start((socket) => socket.end(responses.shift() ?? ""));
      for (let n = 0; n < 4; n += 1) await assert.rejects(wolf.apps.list(), code("target_protocol"));
      await assert.rejects(wolf.apps.list(), { name: "WolfError", status: 200, reason: "Sorry" });
      await assert.rejects(wolf.apps.list(), { name: "WolfError", status: 500, reason: /^Chunked/ });
      await assert.rejects(wolf.apps.list(), { name: "WolfError", status: 404, reason: "" });
    });

    test("keeps every digit of an id, number or not", async () => {
      const big = "18446744073709551615";
      const session = `{"app_id":"1","client_id":${big},"aes_iv":7,"idle_seconds":1.5,"later":[${big}]}`;
      const wolf = await start((socket) => socket.end(whole(`{"success":true,"sessions":[${session}]}`)));
      const [first] = await wolf.sessions.list();
      assert.deepEqual(first, {
        app_id: "1",
        client_id: big,
        aes_iv: "7",
        idle_seconds: 1.5,
        later: [big],
      });
    });

    test("reads no more of a response than its limit", async () => {
      const wolf = await start((socket) => {
        socket.write("HTTP/1.0 200 OK\r\n\r\n");
        const block = Buffer.alloc(64 * 1024, 0x20);
        const write = (): void => {
          while (socket.writable && socket.write(block));
          if (socket.writable) socket.once("drain", write);
        };
        write();
      });
      await assert.rejects(wolf.apps.list(), code("target_protocol"));
      await assert.rejects(
        wolf.events().then((events) => events.next()),
        code("target_protocol"),
      );
    });

    test("hears events in pieces, with comments, of any shape", async () => {
      const wolf = await start((socket) => {
        socket.write(
          "HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\nConnection: keep-alive\r\n\r\n:kee",
        );
        setImmediate(() => {
          socket.write('palive\n\nevent: a::B\r\ndata: {"n":9007199254740993}\r\n\r\n');
          socket.end("data: two\ndata: lines\n\nevent: half\ndata: {}\n");
        });
      });
      const events = await wolf.events();
      const seen: unknown[] = [];
      for await (const { name, type, data } of events) seen.push({ name, type, data });
      assert.deepEqual(seen, [
        { name: "B", type: "a::B", data: { n: "9007199254740993" } },
        { name: "message", type: "message", data: "two\nlines" },
      ]);
    });

    test("reports that Wolf refused the connection", async () => {
      target = await startTarget();
      reached = await reach(kind, "wolf", await refusingAddress("unix"));
      const wolf = createWolfClient(reached.open);
      await assert.rejects(wolf.apps.list(), code("target_refused"));
      await assert.rejects(wolf.events(), code("target_refused"));
      await assert.rejects(wolf.images.pull("a:1").next(), code("target_refused"));
    });
  });
}

test("passes on why there is no tunnel", async () => {
  const target = await startTarget(() => {}, { on: "unix" });
  const reached = await reach("tunnel", "wolf", target.address);
  const { system } = reached;
  assert.ok(system);
  const nobody = createWolfClient((signal) => system.controlPlane.dial("nobody", "wolf", { signal }));
  await assert.rejects(nobody.apps.list(), code("runner_unknown"));
  // In the grace after a lost connection a dial waits; the call's own deadline says that nothing was sent.
  const wolf = createWolfClient(reached.open);
  await system.agent.close();
  await assert.rejects(wolf.apps.list({ timeoutMs: 50 }), code("tunnel_timeout"));
  await reached[Symbol.asyncDispose]();
  await assert.rejects(wolf.apps.list(), { name: "TurnaboutError" });
  await target.close();
  await assertNothingOpen();
});

test("reports that the tunnel was lost during a call, with what a retry has to know", async () => {
  await using target = await startTarget(() => {}, { on: "unix" });
  await using reached = await reach("tunnel", "wolf", target.address);
  const wolf = createWolfClient(reached.open);
  const calling = wolf.lobbies.list().catch((error: unknown) => error);
  await within(target.accepted(), "the call at Wolf");
  reached.system?.controlPlane.kick("runner-1");
  const error = await calling;
  assert.ok(error instanceof Error);
  assert.match(String(Reflect.get(error, "code")), /^(tunnel_lost|target_closed)$/);
  assert.equal(lossOf(error)?.reused, false);
});
