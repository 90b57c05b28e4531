/** The `Host` that a WebSocket's target sees, whichever of the two ends is older than the field that carries it. */
import assert from "node:assert/strict";
import type { IncomingHttpHeaders } from "node:http";
import { afterEach, describe, it } from "node:test";
import { WebSocket } from "ws";
import { startFrameAgent } from "../../support/agent-endpoint.ts";
import { via } from "../../support/callers.ts";
import { next, within } from "../../support/events.ts";
import { headersFrame } from "../../support/http2-frames.ts";
import type { Field } from "../../support/http2-frames.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { startRawTarget } from "../../support/raw-target.ts";
import { startScriptedAgent } from "../../support/scripted-agent.ts";
import { ADMIN_TOKEN, RUNNER, startControlPlane, startSystem, TARGET } from "../../support/system.ts";

afterEach(() => assertNothingOpen());

const EXTENDED: readonly Field[] = [
  [":method", "CONNECT"],
  [":protocol", "websocket"],
  [":scheme", "http"],
  [":authority", "web.runner"],
  [":path", "/"],
  ["sec-websocket-version", "13"],
];

const startRefusingTarget = () =>
  startRawTarget(({ socket }) => void socket.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"));

/** The Extended CONNECT that an agent with these capabilities gets for a WebSocket with these fields. */
async function extendedConnect(
  capabilities: string[],
  headers: Record<string, string>,
): Promise<IncomingHttpHeaders> {
  await using controlPlane = await startControlPlane({ drainMs: 200 });
  const seen = Promise.withResolvers<IncomingHttpHeaders>();
  await using _agent = await startScriptedAgent(controlPlane, {
    capabilities,
    onStream: (stream, fields) => {
      seen.resolve(fields);
      stream.respond({ ":status": 403 }, { endStream: true });
    },
  });
  const socket = new WebSocket(`ws://127.0.0.1:${controlPlane.port}${via("/")}`, {
    headers: { authorization: `Bearer ${ADMIN_TOKEN}`, ...headers },
  });
  await next(socket, "error").catch(() => {});
  return await within(seen.promise, "the Extended CONNECT");
}

describe("the Host of a WebSocket's target", () => {
  it("comes in a field of its own where the agent knows it: `host` never differs from :authority", async () => {
    const sent = await extendedConnect(["websocket", "target-host"], { "turnabout-host": "evil" });
    assert.equal(sent["host"], undefined);
    assert.equal(sent["turnabout-host"], "localhost");
    assert.equal(sent[":authority"], `${TARGET}.${RUNNER}`);
  });

  it("comes as `host` to an agent that does not know the field", async () => {
    const sent = await extendedConnect(["websocket"], { "turnabout-host": "evil" });
    assert.equal(sent["host"], "localhost");
    assert.equal(sent["turnabout-host"], undefined);
  });

  it("is set by a control plane, old or new, and never by a caller", async () => {
    await using target = await startRefusingTarget();
    await using to = await startFrameAgent({ web: target.address });
    const { client } = to;
    const variants: readonly (readonly Field[])[] = [
      [["turnabout-host", "new.example"]],
      [["host", "old.example"]],
      [
        ["host", "old.example"],
        ["turnabout-host", "evil"],
      ],
      [],
    ];
    client.write(...variants.map((fields, i) => headersFrame(1 + 2 * i, [...EXTENDED, ...fields], false)));
    while (client.streams.size < variants.length) await client.until(({ stream }) => stream > 0);
    const hosts = target.heads.map((head) => /^host: (.*)$/im.exec(head)?.[1]);
    // Each comes on a connection of its own, in any order.
    const count = (host: string): number => hosts.filter((each) => each === host).length;
    assert.deepEqual(
      [count("new.example"), count("old.example"), count("localhost"), hosts.length],
      [1, 2, 1, 4],
    );
    for (const head of target.heads) assert.doesNotMatch(head, /turnabout-host/i);
  });

  it("is refused with 400 where it is none, and where the path is none, before the target is reached", async () => {
    await using target = await startRefusingTarget();
    await using to = await startFrameAgent({ web: target.address });
    const { client } = to;
    // nghttp2 looks at the paths of http and https alone.
    const wrongPath = EXTENDED.map(([name, value]): Field => {
      if (name === ":scheme") return [name, "other"];
      return [name, name === ":path" ? "x" : value];
    });
    const variants: readonly (readonly Field[])[] = [
      [...EXTENDED, ["turnabout-host", "a b"]],
      [...EXTENDED, ["turnabout-host", "a/b"]],
      [...EXTENDED, ["turnabout-host", "a"], ["turnabout-host", "b"]],
      wrongPath,
    ];
    client.write(...variants.map((fields, i) => headersFrame(1 + 2 * i, fields, false)));
    while (client.streams.size < variants.length) await client.until(({ stream }) => stream > 0);
    const seen = new Set([...client.streams.values()].map(([first]) => first));
    assert.deepEqual([...seen], ["HEADERS 400 END_STREAM"]);
    assert.equal(target.connections(), 0);
  });

  it("is localhost by the API route, with our own agent", async () => {
    await using system = await startSystem({ target: await startRefusingTarget() });
    const socket = new WebSocket(`${system.url.replace("http", "ws")}${via("/")}`, {
      headers: { authorization: `Bearer ${ADMIN_TOKEN}`, "turnabout-host": "evil" },
    });
    const [error] = await next<[Error]>(socket, "error").catch((reason: unknown) => [reason as Error]);
    assert.match(error.message, /403/);
    const { heads } = system.target as Awaited<ReturnType<typeof startRefusingTarget>>;
    assert.match(heads[0] ?? "", /^host: localhost$/im);
    assert.doesNotMatch(heads[0] ?? "", /turnabout-host|evil/i);
  });
});
