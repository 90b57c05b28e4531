/** What is sent behind a dial leaves with it: the agent has it before it responds, so the first response takes one round trip. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import http2 from "node:http2";
import type { ServerHttp2Stream } from "node:http2";
import net from "node:net";
import type { Duplex } from "node:stream";
import { afterEach, describe, it } from "node:test";
import { createRemoteDial } from "../../../src/index.ts";
import { MAX_EARLY_BYTES } from "../../../src/control/limits.ts";
import { formatProxyStatus } from "../../../src/wire/fields/proxy-status.ts";
import { api } from "../../support/api.ts";
import { closedAtTheEnd } from "../../support/cleanup.ts";
import { ending, next, turn } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { startScriptedAgent } from "../../support/scripted-agent.ts";
import { ADMIN_TOKEN, RUNNER, startControlPlane, TARGET } from "../../support/system.ts";
import type { ControlPlane } from "../../../src/control/control-plane.ts";

afterEach(() => assertNothingOpen());

const AUTHORITY = `${TARGET}.${RUNNER}`;
const FIELD = `Bearer ${ADMIN_TOKEN}`;

/** Opens a stream that takes bytes at once. What it emits begins with the response's header, where the caller sees that. */
const CALLERS: Readonly<Record<string, (controlPlane: ControlPlane) => Promise<Duplex>>> = {
  "dial() in the same process": ({ dial }) => dial(RUNNER, TARGET, { early: true }),
  "dial() from afar": ({ port }) =>
    createRemoteDial({ server: `http://127.0.0.1:${port}`, token: ADMIN_TOKEN })(RUNNER, TARGET, {
      early: true,
    }),
  "CONNECT over HTTP/1.1": ({ port }) => {
    const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    closedAtTheEnd(() => Promise.resolve(void socket.destroy()));
    socket.write(`CONNECT ${AUTHORITY} HTTP/1.1\r\nProxy-Authorization: ${FIELD}\r\n\r\n`);
    return Promise.resolve(socket);
  },
  "CONNECT over HTTP/2": ({ port }) => {
    const session = http2.connect(`http://127.0.0.1:${port}`);
    session.on("error", () => {});
    closedAtTheEnd(() => Promise.resolve(session.destroy()));
    const fields = { ":method": "CONNECT", ":authority": AUTHORITY, "proxy-authorization": FIELD };
    const stream = session.request(fields, { endStream: false });
    stream.on("error", () => {});
    return Promise.resolve(stream);
  },
};

/** The n-th stream of the agent, with what it has received so far. */
interface Received {
  readonly stream: ServerHttp2Stream;
  data: Buffer;
}

async function start(
  onStream: (received: Received, attempt: number) => void,
): Promise<AsyncDisposable & { controlPlane: ControlPlane }> {
  const controlPlane = await startControlPlane();
  let attempts = 0;
  const agent = await startScriptedAgent(controlPlane, {
    capabilities: [],
    onStream: (stream) => {
      const received: Received = { stream, data: Buffer.alloc(0) };
      stream.on("data", (chunk: Buffer) => (received.data = Buffer.concat([received.data, chunk])));
      onStream(received, (attempts += 1));
    },
  });
  return {
    controlPlane,
    [Symbol.asyncDispose]: async () => {
      await agent[Symbol.asyncDispose]();
      await controlPlane.close();
    },
  };
}

function refuse(stream: ServerHttp2Stream, status: number, code: "agent_draining" | "target_refused"): void {
  stream.respond({ ":status": status, "proxy-status": formatProxyStatus(code) }, { endStream: true });
}

/** Calls `then` as soon as so many bytes have come. */
function whenReceived(received: Received, bytes: number, then: () => void): void {
  let isDone = false;
  received.stream.on("data", () => {
    if (isDone || received.data.length < bytes) return;
    isDone = true;
    then();
  });
}

for (const [how, open] of Object.entries(CALLERS)) {
  describe(how, () => {
    it("sends the first bytes before the target has accepted, and the rest after them", async () => {
      await using system = await start((received) => {
        whenReceived(received, "early".length, () => {
          received.stream.respond({ ":status": 200 });
          received.stream.write(received.data);
        });
        received.stream.on("end", () => received.stream.end(received.data.subarray("early".length)));
      });
      const stream = await open(system.controlPlane);
      const end = ending(stream);
      stream.write("early");
      await next(stream, "data");
      stream.end(", late");
      const { kind, data } = await end;
      assert.equal(kind, "end");
      assert.match(data.toString(), /early, late$/);
      const url = `http://127.0.0.1:${system.controlPlane.port}`;
      const { body } = await api(url, "GET", "/api/v1/requests?way=connect,dial");
      const { requests } = body as { requests: { bytesIn: number }[] };
      assert.deepEqual(
        requests.map(({ bytesIn }) => bytesIn),
        ["early, late".length],
      );
    });

    it("may end its half before the target has accepted", async () => {
      await using system = await start((received) => {
        whenReceived(received, "all of it".length, () => received.stream.respond({ ":status": 200 }));
        received.stream.on("end", () => received.stream.end(received.data));
      });
      const stream = await open(system.controlPlane);
      const end = ending(stream);
      stream.end("all of it");
      const { kind, data } = await end;
      assert.equal(kind, "end");
      assert.match(data.toString(), /all of it$/);
    });

    it("loses no byte of more than may leave early", async () => {
      const sent = randomBytes(4 * MAX_EARLY_BYTES);
      let early = 0;
      await using system = await start((received) => {
        const { stream } = received;
        whenReceived(received, MAX_EARLY_BYTES, () => {
          void turn(20).then(() => {
            early = received.data.length;
            stream.respond({ ":status": 200 });
            if (stream.readableEnded) stream.end(received.data);
            else stream.on("end", () => stream.end(received.data));
          });
        });
      });
      const stream = await open(system.controlPlane);
      const end = ending(stream);
      stream.end(sent);
      const { kind, data } = await end;
      assert.equal(kind, "end");
      assert.ok(data.subarray(-sent.length).equals(sent));
      // In the same process the caller's own writes are what is held.
      if (!how.includes("same process")) assert.equal(early, MAX_EARLY_BYTES);
    });

    it("gets the reason of a refusal, whatever it has sent", async () => {
      await using system = await start((received) => {
        whenReceived(received, 5, () => refuse(received.stream, 502, "target_refused"));
      });
      const stream = await open(system.controlPlane);
      const reason = reasonOf(stream);
      stream.write("early");
      stream.write("and more");
      assert.equal(await reason, "target_refused");
      stream.destroy();
    });
  });
}

/** From the 'error' of a dial, or from the response to a CONNECT. */
async function reasonOf(stream: Duplex): Promise<string | undefined> {
  let fields: unknown;
  stream.on("response", (headers: unknown) => (fields = headers));
  const { error, data } = await ending(stream);
  const text = `${JSON.stringify(fields)} ${data.toString()} ${JSON.stringify(error ?? {})}`;
  return /target_refused/.exec(text)?.[0];
}

describe("a dial by CONNECT that the agent has provably not processed", () => {
  it("is opened again, with the same first bytes", async () => {
    const seen: string[] = [];
    await using system = await start((received, attempt) => {
      whenReceived(received, 5, () => {
        seen.push(received.data.toString());
        if (attempt === 1) return refuse(received.stream, 503, "agent_draining");
        received.stream.respond({ ":status": 200 });
        received.stream.end("response");
      });
    });
    const open = CALLERS["CONNECT over HTTP/1.1"];
    const stream = await open?.(system.controlPlane);
    assert.ok(stream !== undefined);
    const end = ending(stream);
    stream.end("early");
    assert.match((await end).data.toString(), /response$/);
    assert.deepEqual(seen, ["early", "early"]);
  });
});
