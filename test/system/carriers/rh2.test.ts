import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import tls from "node:tls";
import type { AgentOptions } from "../../../src/agent/config.ts";
import { createControlPlane } from "../../../src/control/control-plane.ts";
import type { ControlPlane } from "../../../src/control/control-plane.ts";
import { hashToken } from "../../../src/control/auth/tokens.ts";
import type { TokenRecord } from "../../../src/control/auth/tokens.ts";
import { openReversed, serveReversed } from "../../../src/wire/session/reversed-session.ts";
import type { RegistryEvent } from "../../../src/control/registry/registry.ts";
import { assertEchoes, file, followAgent } from "../../support/agents.ts";
import type { FollowedAgent } from "../../support/agents.ts";
import { EventLog } from "../../support/event-log.ts";
import { ending, next } from "../../support/events.ts";
import { listen } from "../../support/reverse-proxies.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { createPki, issueServer } from "../../support/pki.ts";
import type { CertificateRequest } from "../../support/pki.ts";
import { startEchoTarget } from "../../support/target.ts";

afterEach(() => assertNothingOpen());

const servers = await createPki("servers");
const clients = await createPki("clients");
const caFile = file(servers.ca);

describe("rh2 with a client certificate", () => {
  const cases: { names: string; runner: string; certificate: CertificateRequest }[] = [
    { names: "its common name", runner: "wolf-1", certificate: { commonName: "wolf-1" } },
    {
      names: "a DNS pattern",
      runner: "sandbox-ses_01k",
      certificate: { commonName: "host-7", dns: ["sandbox-*"] },
    },
    {
      names: "a runner URN",
      runner: "moonlight-us",
      certificate: { commonName: "host-7", uri: ["urn:turnabout:runner:moonlight-us"] },
    },
  ];
  for (const { names, runner, certificate } of cases) {
    it(`registers the runner that the certificate names by ${names}`, async () => {
      await using stand = await start({ clientCa: clients.ca });
      const agent = stand.addAgent(runner, await clients.issue(certificate));
      await agent.connected();
      await assertEchoes(stand.controlPlane.dial, runner, "echo");
      const [view] = stand.controlPlane.runners();
      assert.equal(view?.connections[0]?.tunnel.kind, "rh2");
      assert.equal(view?.credential, `certificate:${certificate.commonName}`);
      assert.deepEqual(agent.events.all, [{ type: "connected", slot: 0, carrier: "rh2", why: "configured" }]);
    });
  }

  it("refuses a runner that the certificate does not name, with the reason", async () => {
    await using stand = await start({ clientCa: clients.ca });
    const agent = stand.addAgent("wolf-2", await clients.issue({ commonName: "wolf-1" }));
    const { error } = await agent.failed();
    assert.match(error.message, /refused: not_allowed: The credential does not permit this request/);
    assert.deepEqual(stand.controlPlane.runners(), []);
  });

  it("refuses a certificate of an authority that is not the client CA", async () => {
    await using stand = await start({ clientCa: clients.ca });
    const agent = stand.addAgent("wolf-1", await (await createPki("others")).issue({ commonName: "wolf-1" }));
    assert.match((await agent.failed()).error.message, /refused: unauthenticated/);
  });

  it("refuses an expired certificate", async () => {
    await using stand = await start({ clientCa: clients.ca });
    const long = new Date(Date.now() - 10 * 86_400_000);
    const expired = { commonName: "wolf-1", notBefore: long, notAfter: new Date(Date.now() - 3_600_000) };
    const agent = stand.addAgent("wolf-1", await clients.issue(expired));
    assert.match((await agent.failed()).error.message, /refused: unauthenticated/);
  });
});

describe("rh2 with a token", () => {
  it("sends the token when the control plane requests it", async () => {
    await using stand = await start();
    const agent = stand.addAgent("wolf-1", { token: "good" });
    await agent.connected();
    await assertEchoes(stand.controlPlane.dial, "wolf-1");
    assert.equal(stand.controlPlane.runners()[0]?.credential, "wolves");
  });

  it("works where a client CA is configured and the agent has no certificate", async () => {
    await using stand = await start({ clientCa: clients.ca });
    const agent = stand.addAgent("wolf-1", { token: "good" });
    await agent.connected();
    await assertEchoes(stand.controlPlane.dial, "wolf-1");
  });

  it("is refused with the reason for an unknown token", async () => {
    await using stand = await start();
    const agent = stand.addAgent("wolf-1", { token: "bad" });
    assert.match((await agent.failed()).error.message, /refused: unauthenticated: A valid token is required/);
  });

  it("is refused with the reason for a runner that the token is not for", async () => {
    await using stand = await start();
    const agent = stand.addAgent("moonlight-1", { token: "good" });
    assert.match((await agent.failed()).error.message, /refused: not_allowed/);
  });
});

describe("a token that changes while its agent connects", () => {
  const credential = { id: "wolves", kind: "runner", sha256: hashToken("good") } as const;
  const changes: [change: string, left: TokenRecord[], refusal: RegExp][] = [
    ["narrowed", [{ ...credential, runners: ["bear-*"] }], /not_allowed/],
    ["revoked", [], /unauthenticated/],
  ];
  for (const [change, left, refusal] of changes) {
    it(`is taken as it stands at the registration: ${change}`, async () => {
      await using stand = await start();
      const socket = tls.connect({
        port: stand.controlPlane.port,
        host: "localhost",
        ca: servers.ca,
        ALPNProtocols: ["h2-reverse"],
      });
      await next(socket, "secureConnect");
      const session = await serveReversed(socket, (session) => {
        session.on("stream", (stream, headers) => {
          stream.respond({ ":status": 200 });
          if (headers[":path"] === "/credential") return void stream.end('{"token":"good"}');
          stand.controlPlane.setTokens(left); // after /credential, before the response to /hello
          const runners = [{ id: "wolf-1", targets: [{ name: "wolf" }] }];
          stream.end(JSON.stringify({ protocol: 1, version: "other", instance: "x", runners }));
        });
      });
      const [, , data] = await next<[number, number, Buffer]>(session, "goaway");
      assert.match(data.toString(), refusal);
      assert.deepEqual(stand.controlPlane.runners(), []);
      session.destroy();
    });
  }
});

/** As it is offered, and as node reports the bytes that were selected. */
const OTHER_NAMES = [
  ["h2-reverse", "h2-reverse"],
  ["\u0547\u0265", "\xd5\x87\xc9\xa5"],
] as const;

describe("rh2 by its other names", () => {
  for (const [alpn, reported] of OTHER_NAMES) {
    it(`${alpn}: is accepted by the control plane`, async () => {
      await using stand = await start({ clientCa: clients.ca });
      const socket = tls.connect({
        port: stand.controlPlane.port,
        host: "localhost",
        ca: servers.ca,
        ...(await clients.issue({ commonName: "wolf-1" })),
        ALPNProtocols: [alpn],
      });
      await next(socket, "secureConnect");
      assert.equal(socket.alpnProtocol, reported);
      const session = await serveReversed(socket, (session) => {
        session.on("stream", (stream, headers) => {
          if (headers[":path"] !== "/hello") return void stream.destroy(new Error("unexpected"));
          const runners = [{ id: "wolf-1", targets: [{ name: "wolf" }] }];
          stream.respond({ ":status": 200 });
          stream.end(JSON.stringify({ protocol: 1, version: "other", instance: "x", runners }));
        });
      });
      await stand.events.find((event) => event.type === "connected", "the registration");
      assert.equal(stand.controlPlane.runners()[0]?.id, "wolf-1");
      const closed = next(session, "close");
      session.destroy();
      await closed;
    });

    it(`${alpn}: is taken by the agent where the peer knows only that name`, async () => {
      const accepted = Promise.withResolvers<tls.TLSSocket>();
      const server = tls.createServer(
        { ...(await issueServer(servers)), ALPNProtocols: [alpn] },
        accepted.resolve,
      );
      await using proxy = await listen(server);
      await using followed = followAgent(
        options(proxy.port, { "wolf-1": { echo: "127.0.0.1:1" } }, { token: "good" }),
      );
      const session = await openReversed(await accepted.promise);
      const stream = session.request({ ":path": "/hello", ":authority": "agent" });
      const { data } = await ending(stream);
      assert.equal((JSON.parse(data.toString()) as { instance: string }).instance, followed.agent.processId);
    });
  }
});

type Credential = { token: string } | { cert: string; key: string };

interface Stand extends AsyncDisposable {
  controlPlane: ControlPlane;
  events: EventLog<RegistryEvent>;
  addAgent(runner: string, credential: Credential): FollowedAgent;
}

async function start({ clientCa }: { clientCa?: string } = {}): Promise<Stand> {
  const stack = new AsyncDisposableStack();
  const target = stack.use(await startEchoTarget());
  const wolves: TokenRecord = {
    id: "wolves",
    kind: "runner",
    sha256: hashToken("good"),
    runners: ["wolf-*"],
  };
  const events = new EventLog<RegistryEvent>();
  const controlPlane = stack.use(
    await createControlPlane({
      port: 0,
      host: "127.0.0.1",
      tls: { ...(await issueServer(servers)), clientCa },
      tokens: [wolves],
      drainMs: 500,
      onEvent: events.push,
    }),
  );
  return {
    controlPlane,
    events,
    addAgent: (runner, credential) =>
      stack.use(followAgent(options(controlPlane.port, { [runner]: { echo: target.address } }, credential))),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

function options(
  port: number,
  runners: AgentOptions["runners"],
  credential: Credential,
): Parameters<typeof followAgent>[0] {
  return {
    server: `https://localhost:${port}`,
    carrier: "rh2",
    caFile,
    runners,
    ...("token" in credential
      ? { token: { value: credential.token } }
      : { token: undefined, certFile: file(credential.cert), keyFile: file(credential.key) }),
  };
}
