/** A body that breaks off is an error at the caller, never a body that looks complete. */
import assert from "node:assert/strict";
import { once } from "node:events";
import http2 from "node:http2";
import net from "node:net";
import type { Socket } from "node:net";
import type { Readable } from "node:stream";
import { afterEach, describe, it } from "node:test";
import tls from "node:tls";
import { CALLERS, openCaller, via } from "../../support/callers.ts";
import { ending, eventually, within } from "../../support/events.ts";
import type { Ending } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { startRawTarget } from "../../support/raw-target.ts";
import { ADMIN_TOKEN, startSystem } from "../../support/system.ts";
import { startHttpTarget } from "../../support/target.ts";
import type { System } from "../../support/system.ts";

afterEach(() => assertNothingOpen());

const PART = "the first part of the body";

/** How the target frames a body of which only the first part is ever sent. */
const FRAMINGS: Readonly<Record<string, string>> = {
  "a chunked body": `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${PART.length.toString(16)}\r\n${PART}\r\n`,
  "a body of known length": `HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n${PART}`,
  "a body up to the close": `HTTP/1.0 200 OK\r\n\r\n${PART}`,
};

interface Fault {
  on: "tcp" | "unix";
  what: string;
  strike: (system: System, target: Socket) => void;
  /** A Unix socket knows only FIN, which ends a body up to the close as it should end. */
  except?: string;
}

const FAULTS: readonly Fault[] = [
  { what: "the target resets", on: "tcp", strike: (_system, target) => target.resetAndDestroy() },
  {
    what: "the target closes",
    on: "unix",
    strike: (_system, target) => target.destroy(),
    except: "a body up to the close",
  },
  {
    what: "the target's process dies on TCP",
    on: "tcp",
    strike: (_system, target) => target.destroy(),
    except: "a body up to the close",
  },
  { what: "the agent's connection is reset", on: "tcp", strike: ({ path }) => path?.reset() },
  { what: "the agent's connection is closed", on: "tcp", strike: ({ path }) => path?.cut() },
  { what: "the agent is kicked", on: "unix", strike: ({ agents }) => void agents[0]?.close() },
];

/** A caller that asks with HTTP/1.0 gets a body up to the close, whatever the target's was. */
async function askWithHttp10(system: System, isTls: boolean): Promise<Readable> {
  const { port } = system.controlPlane;
  const socket =
    isTls && system.pki !== undefined
      ? tls.connect({ port, host: "localhost", ca: system.pki.ca })
      : net.connect(port, "127.0.0.1");
  await once(socket, isTls ? "secureConnect" : "connect");
  socket.write(`GET ${via("/")} HTTP/1.0\r\nAuthorization: Bearer ${ADMIN_TOKEN}\r\n\r\n`);
  return socket;
}

const ASKERS: Readonly<
  Record<string, (system: System) => Promise<{ body: Readable; close: () => Promise<void> }>>
> = {
  ...Object.fromEntries(
    CALLERS.map((kind) => [
      kind,
      async (system: System) => {
        const caller = await openCaller(kind, system);
        const call = caller.open({ path: via("/") });
        call.request.end();
        const { body } = await within(call.response, "the header");
        return { body, close: () => caller.close() };
      },
    ]),
  ),
  ...Object.fromEntries(
    [false, true].map((isTls) => [
      isTls ? "HTTP/1.0 on TLS" : "HTTP/1.0",
      async (system: System) => {
        const body = await askWithHttp10(system, isTls);
        return { body, close: () => Promise.resolve() };
      },
    ]),
  ),
};

async function breakOff(
  ask: (typeof ASKERS)[string],
  framing: string,
  { on, strike }: Pick<Fault, "on" | "strike">,
): Promise<Ending> {
  const target = await startRawTarget(({ socket }) => void socket.write(framing), { on });
  await using system = await startSystem({ tls: true, faulty: true, target, agent: { drainMs: 1 } });
  const { body, close } = await ask(system);
  const end = ending(body);
  let seen = "";
  body.on("data", (chunk: Buffer) => (seen += chunk.toString("latin1")));
  await eventually(() => seen.includes(PART), "the first part");
  const [socket] = target.sockets;
  assert.ok(socket);
  strike(system, socket);
  const result = await end;
  await close();
  return result;
}

for (const [who, ask] of Object.entries(ASKERS)) {
  describe(`to a caller over ${who}`, () => {
    for (const [what, framing] of Object.entries(FRAMINGS)) {
      for (const fault of FAULTS) {
        if (fault.except === what) continue;
        it(`${what} is broken when ${fault.what}`, async () => {
          const { kind } = await breakOff(ask, framing, fault);
          assert.equal(kind, "error");
        });
      }
    }

    it("a body up to the close is complete when the target closes", async () => {
      const framing = FRAMINGS["a body up to the close"] ?? "";
      const strike = (_system: System, target: Socket): void => void target.end();
      const { kind, data } = await breakOff(ask, framing, { on: "tcp", strike });
      assert.equal(kind, "end");
      assert.ok(data.toString("latin1").includes(PART));
    });
  });
}

it("a response whose last piece cannot be written is reset on HTTP/2, and ends nothing else", async (t) => {
  await using target = await startHttpTarget((_request, response) => void response.end("all of it"));
  await using system = await startSystem({ target });
  await using caller = await openCaller("HTTP/2 by prior knowledge", system);
  const call = () => caller.open({ path: via("/"), bodyless: true });
  const end = t.mock.method(http2.Http2ServerResponse.prototype, "end", () => {
    throw new Error("not written");
  });
  const { response, request } = call();
  request.on("error", () => {});
  const { body } = await response;
  assert.equal((await ending(body)).kind, "error");
  assert.equal(end.mock.callCount(), 1);
  end.mock.restore();
  const { body: next } = await call().response;
  assert.equal((await ending(next)).data.toString(), "all of it");
});
