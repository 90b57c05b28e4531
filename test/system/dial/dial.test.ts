/** What `dial()` gives, in the control plane's own process and from afar: half-close, reset, abort, TLS inside. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { afterEach, describe, it } from "node:test";
import tls from "node:tls";
import { createRemoteDial } from "../../../src/index.ts";
import type { Dial } from "../../../src/index.ts";
import { ending, eventually, next, within } from "../../support/events.ts";
import { FAILURES, startFailure, tokenOf } from "../../support/failures.ts";
import { call } from "../../support/http.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { createPki, issueServer } from "../../support/pki.ts";
import { ADMIN_TOKEN, RUNNER, startSystem, TARGET } from "../../support/system.ts";
import type { System } from "../../support/system.ts";
import { startEchoTarget, startTarget } from "../../support/target.ts";

afterEach(() => assertNothingOpen());

const DIALS: Readonly<Record<string, { tls: boolean; from: (system: System, token?: string) => Dial }>> = {
  "in the same process": { tls: false, from: ({ controlPlane }) => controlPlane.dial },
  "from afar by http": {
    tls: false,
    from: ({ url }, token = ADMIN_TOKEN) => createRemoteDial({ server: url, token }),
  },
  "from afar by https": {
    tls: true,
    from: ({ url, pki }, token = ADMIN_TOKEN) => createRemoteDial({ server: url, token, ca: pki?.ca }),
  },
  "in the same process, early": { tls: false, from: ({ controlPlane }) => early(controlPlane.dial) },
  "from afar by https, early": {
    tls: true,
    from: ({ url, pki }, token = ADMIN_TOKEN) => early(createRemoteDial({ server: url, token, ca: pki?.ca })),
  },
};

function early(dial: Dial): Dial {
  return (runner, target, options) => dial(runner, target, { ...options, early: true });
}

for (const [how, { tls: isTls, from }] of Object.entries(DIALS)) {
  describe(`a stream that is dialled ${how}`, () => {
    async function open(): Promise<{ system: System; stream: Duplex; socket: Socket }> {
      const target = await startTarget();
      const system = await startSystem({ tls: isTls, target });
      const stream = await from(system)(RUNNER, TARGET);
      stream.on("error", () => {}); // permanent
      return { system, stream, socket: await within(target.accepted(), "the target's connection") };
    }

    it("carries bytes both ways, unchanged, and ends on both sides", async () => {
      await using system = await startSystem({ tls: isTls, target: await startEchoTarget() });
      const stream = await from(system)(RUNNER, TARGET);
      const sent = randomBytes(5 * 1024 * 1024);
      const end = ending(stream);
      stream.end(sent);
      const { kind, data } = await end;
      assert.equal(kind, "end");
      assert.ok(data.equals(sent));
    });

    it("lets the target respond after our end", async () => {
      const { system, stream, socket } = await open();
      await using _ = system;
      const theirs = ending(socket);
      stream.end("question");
      const { kind, data } = await theirs;
      assert.deepEqual([kind, data.toString()], ["end", "question"]);
      const ours = ending(stream);
      socket.end("response");
      assert.equal((await ours).data.toString(), "response");
    });

    it("lets us write on after the target's end", async () => {
      const { system, stream, socket } = await open();
      await using _ = system;
      const ours = ending(stream);
      socket.end("that was all");
      const { kind, data } = await ours;
      assert.deepEqual([kind, data.toString()], ["end", "that was all"]);
      const theirs = ending(socket);
      stream.end("not from here");
      assert.equal((await theirs).data.toString(), "not from here");
      await eventually(() => stream.destroyed, "both halves closed");
    });

    it("shows the target's reset as an error, never as an end", async () => {
      const { system, stream, socket } = await open();
      await using _ = system;
      const ours = ending(stream);
      socket.write("part", () => socket.resetAndDestroy());
      assert.equal((await ours).kind, "error");
    });

    it("shows the target's reset as an error, also after our own end", async () => {
      const { system, stream, socket } = await open();
      await using _ = system;
      const ours = ending(stream);
      stream.end("question");
      await ending(socket);
      socket.resetAndDestroy();
      assert.equal((await ours).kind, "error");
    });

    it("shows the target a reset when it is destroyed", async () => {
      const { system, stream, socket } = await open();
      await using _ = system;
      const theirs = ending(socket);
      stream.destroy();
      const { kind, code } = await theirs;
      // A socket that is destroyed says FIN to TCP: an end is all that the far side of a remote dial can know.
      if (how === "in the same process") assert.deepEqual([kind, code], ["error", "ECONNRESET"]);
      await eventually(() => socket.destroyed || socket.readableEnded, "the end at the target");
    });

    it("shows a lost agent as an error", async () => {
      const target = await startTarget();
      await using system = await startSystem({ tls: isTls, target, faulty: true });
      const stream = await from(system)(RUNNER, TARGET);
      await within(target.accepted(), "the target's connection");
      const ours = ending(stream);
      system.path?.cut();
      assert.equal((await ours).kind, "error");
    });

    it("carries TLS of the two ends' own", async () => {
      const pki = await createPki("inner");
      const server = tls.createServer(await issueServer(pki), (socket) => void socket.pipe(socket));
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      await using system = await startSystem({ tls: isTls, agents: 0 });
      await system.addAgent({ [RUNNER]: { tls: `127.0.0.1:${(server.address() as AddressInfo).port}` } });
      const socket = await from(system)(RUNNER, "tls");
      const inner = tls.connect({ socket, servername: "localhost", ca: pki.ca });
      await next(inner, "secureConnect");
      const sent = randomBytes(1024 * 1024);
      const end = ending(inner);
      inner.end(sent);
      assert.ok((await end).data.equals(sent));
      server.close();
    });

    for (const failure of FAILURES.filter((entry) => entry.afterConnect !== true)) {
      const asAdmin = tokenOf(failure) === ADMIN_TOKEN;
      if (!asAdmin && (how.startsWith("in the same process") || tokenOf(failure) === undefined)) continue;
      it(`is refused: ${failure.what}: ${failure.code}`, async () => {
        await using system = await startFailure(failure); // with TLS, and plaintext on the same port
        const dial = isTls ? from(system, tokenOf(failure)) : plaintext(system, from, tokenOf(failure));
        await assert.rejects(refused(dial(failure.runner ?? RUNNER, failure.name ?? TARGET)), {
          code: failure.code,
        });
      });
    }

    it("can wait for a runner that connects later", async () => {
      await using system = await startSystem({ tls: isTls });
      const stream = from(system)("runner-2", TARGET, { waitMs: 10_000 });
      await within(waitingDials(system, 1), "a dial that waits");
      await system.addAgent({ "runner-2": { [TARGET]: system.target.address } });
      const socket = await within(stream, "the stream");
      const end = ending(socket);
      socket.end("hello");
      assert.equal((await end).data.toString(), "hello");
    });

    it("is aborted by its signal while it waits", async () => {
      await using system = await startSystem({ tls: isTls });
      const controller = new AbortController();
      const stream = refused(from(system)("runner-2", TARGET, { waitMs: 60_000, signal: controller.signal }));
      stream.catch(() => {});
      await within(waitingDials(system, 1), "a dial that waits");
      controller.abort();
      await assert.rejects(stream, { code: "aborted" });
      await within(waitingDials(system, 0), "the end of all waits");
    });

    it("is not opened at all if its signal has been given already", async () => {
      const target = await startTarget();
      await using system = await startSystem({ tls: isTls, target });
      const options = { signal: AbortSignal.abort() };
      await assert.rejects(refused(from(system)(RUNNER, TARGET, options)), { code: "aborted" });
      await eventually(() => target.sockets.size === 0, "no connection at the target");
    });

    it("outlives its signal once it is open", async () => {
      await using system = await startSystem({ tls: isTls });
      const controller = new AbortController();
      const stream = await from(system)(RUNNER, TARGET, { signal: controller.signal });
      stream.write("hello ");
      await next(stream, "readable"); // an early dial is open only now
      controller.abort();
      const end = ending(stream);
      stream.end("again");
      assert.equal((await end).data.toString(), "hello again");
    });
  });
}

/** A refused dial rejects; an early one resolves to a stream that fails. */
async function refused(dial: Promise<Duplex>): Promise<void> {
  const { error } = await ending(await dial);
  if (error !== undefined) throw error;
}

function plaintext(system: System, from: (system: System, token?: string) => Dial, token?: string): Dial {
  return from({ ...system, url: `http://127.0.0.1:${system.controlPlane.port}` }, token);
}

/** Waiting dials, from the metrics: an unknown runner is not listed. */
async function waitingDials(system: System, count: number): Promise<void> {
  const url = `http://127.0.0.1:${system.controlPlane.port}/metrics`;
  for (;;) {
    const { body } = await call(url);
    if (Number(/^turnabout_waiting_dials (\d+)$/m.exec(body)?.[1]) === count) return;
  }
}
