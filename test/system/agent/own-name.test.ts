/** Fields that a target sends in our name, as another Turnabout does, are never taken for ours. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { formatProxyStatus } from "../../../src/wire/fields/proxy-status.ts";
import { errorCode, via } from "../../support/callers.ts";
import { call } from "../../support/http.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { exchangeRaw } from "../../support/raw-http.ts";
import { startRawTarget } from "../../support/raw-target.ts";
import type { RawTarget } from "../../support/raw-target.ts";
import { startScriptedAgent } from "../../support/scripted-agent.ts";
import { ADMIN_TOKEN, RUNNER, startSystem, TARGET } from "../../support/system.ts";
import type { System } from "../../support/system.ts";
import { startHttp2Target } from "../../support/target.ts";
import { refusedWebSocket } from "../../support/websockets.ts";

const OWN_FIELDS = "X-Request-Id: theirs\r\nTurnabout-Version: 9\r\nX-Kept: yes\r\n";

/** Ours, on a route. */
const REQUEST_ID = /^[0-9a-f-]{36}$/;

/** Proxy-Status fields of a target, and what of them a caller sees. */
const VARIANTS: readonly { name: string; fields: readonly string[]; seen: string | undefined }[] = [
  { name: "one member", fields: [formatProxyStatus("agent_draining")], seen: undefined },
  { name: "a relay's member", fields: ['turnabout-relay; details="relay_full"'], seen: undefined },
  { name: "a string, in capitals", fields: ['"TurnAbout" ; details="overloaded"'], seen: undefined },
  { name: "an unknown code", fields: ['turnabout;error=x;details="zzz"'], seen: undefined },
  { name: "no parameters", fields: ["\tturnabout "], seen: undefined },
  {
    name: "members of others around it",
    fields: ['cdn; details="a, turnabout; \\"b"; x , turnabout; details="overloaded" ,edge'],
    seen: 'cdn; details="a, turnabout; \\"b"; x, edge',
  },
  {
    name: "several fields",
    fields: ["cdn; error=x", 'turnabout; details="overloaded"'],
    seen: "cdn; error=x",
  },
  {
    name: "others alone, as they came",
    fields: ['cdn;  details="agent_draining", turnaboutish'],
    seen: 'cdn;  details="agent_draining", turnaboutish',
  },
];

function responseTo(path: string): string {
  const lines = VARIANTS[Number(path.slice(1))]?.fields.map((value) => `Proxy-Status: ${value}\r\n`) ?? [];
  return `HTTP/1.1 403 Forbidden\r\n${lines.join("")}${OWN_FIELDS}Content-Length: 3\r\n\r\nabc`;
}

describe("a target that speaks in our name", () => {
  let target: RawTarget;
  let system: System;

  before(async () => {
    target = await startRawTarget(({ socket, head }) => {
      socket.write(responseTo(head.split(" ")[1] ?? ""), "latin1");
    });
    system = await startSystem({ target });
  });

  after(async () => {
    await system.close();
    await assertNothingOpen();
  });

  for (const kind of ["HTTP/1.1", "HTTP/2 by prior knowledge"] as const) {
    it(`gets one WebSocket handshake over ${kind}, and its own refusal reaches the caller`, async () => {
      for (const [index, { name, seen }] of VARIANTS.entries()) {
        const requests = target.heads.length;
        const { status, headers, text } = await refusedWebSocket(kind, system, via(`/${index}`));
        assert.deepEqual([status, text, headers["proxy-status"]], [403, "abc", seen], name);
        assert.match(String(headers["x-request-id"]), REQUEST_ID, name);
        assert.equal(headers["turnabout-version"], undefined, name);
        assert.equal(headers["x-kept"], "yes");
        assert.equal(target.heads.length - requests, 1, name);
      }
    });
  }

  it("is heard without our name on the API route and by the forward proxy", async () => {
    for (const [index, { name, seen }] of VARIANTS.entries()) {
      const { status, headers, body } = await call(`${system.url}${via(`/${index}`)}`);
      assert.deepEqual([status, body, headers["proxy-status"]], [403, "abc", seen], name);
      assert.match(String(headers["x-request-id"]), REQUEST_ID, name);
      assert.equal(headers["turnabout-version"], undefined, name);
      assert.equal(headers["x-kept"], "yes");
      const { text: proxied } = await exchangeRaw(
        system.controlPlane.port,
        `GET http://${TARGET}.${RUNNER}/${index} HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Bearer ${ADMIN_TOKEN}\r\nConnection: close\r\n\r\n`,
      );
      const value = /^proxy-status: (.*)\r$/im.exec(proxied)?.[1];
      assert.match(proxied, /^HTTP\/1\.1 403 /);
      assert.equal(value, seen, name);
      assert.doesNotMatch(proxied, /x-request-id|turnabout-version/i);
    }
  });

  it("is heard without our name over HTTP/2, its trailers too", async () => {
    const status = formatProxyStatus("overloaded");
    const http2Target = await startHttp2Target((stream) => {
      stream.respond(
        { ":status": 403, "proxy-status": ["cdn", status], "turnabout-version": "9" },
        { waitForTrailers: true },
      );
      stream.once("wantTrailers", () => stream.sendTrailers({ "proxy-status": status, "x-sum": "1" }));
      stream.end("abc");
    });
    try {
      await system.addAgent({ two: { http2: `${http2Target.address};http=2` } });
      const { text: response } = await exchangeRaw(
        system.controlPlane.port,
        `GET ${via("/", "http2", "two")} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${ADMIN_TOKEN}\r\nTE: trailers\r\nConnection: close, TE\r\n\r\n`,
      );
      assert.match(response, /^proxy-status: cdn\r$/im);
      assert.match(response, /^x-sum: 1\r$/im);
      assert.doesNotMatch(response, /turnabout/i);
    } finally {
      await http2Target.close();
    }
  });
});

/** How a caller's WebSocket ends at an agent with these capabilities that responds so; and how many requests it got. */
async function refusedBy(
  capabilities: string[],
  status: number,
  proxyStatus: string,
): Promise<{ status: number; text: string; proxyStatus: string | undefined; requests: number }> {
  await using system = await startSystem({ agents: 0 });
  let requests = 0;
  await using _agent = await startScriptedAgent(system.controlPlane, {
    capabilities,
    onStream: (stream) => {
      requests += 1;
      stream.respond({ ":status": status, "proxy-status": proxyStatus });
      stream.end("abc");
    },
  });
  const refusal = await refusedWebSocket("HTTP/1.1", system, via("/"));
  const field = refusal.headers["proxy-status"];
  return {
    status: refusal.status,
    text: refusal.text,
    proxyStatus: typeof field === "string" ? field : undefined,
    requests,
  };
}

describe("a refusal by an agent", () => {
  after(() => assertNothingOpen());

  it("that marks its own: any member in our name is the agent's", async () => {
    const draining = await refusedBy(["websocket", "proxy-status"], 503, formatProxyStatus("agent_draining"));
    assert.deepEqual(
      [draining.status, errorCode(draining.text), draining.requests],
      [503, "agent_draining", 3],
    );
    const future = await refusedBy(
      ["websocket", "proxy-status"],
      502,
      'turnabout; details="from_the_future"',
    );
    assert.deepEqual([future.status, errorCode(future.text), future.requests], [502, "target_refused", 1]);
  });

  it("that does not: it is believed with the status of its code, and never repeated", async () => {
    const draining = await refusedBy(["websocket"], 503, formatProxyStatus("agent_draining"));
    assert.deepEqual(
      [draining.status, errorCode(draining.text), draining.requests],
      [503, "agent_draining", 1],
    );
    const targets = await refusedBy(["websocket"], 403, `cdn, ${formatProxyStatus("agent_draining")}`);
    assert.deepEqual(targets, { status: 403, text: "abc", proxyStatus: "cdn", requests: 1 });
  });
});
