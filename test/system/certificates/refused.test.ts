/** Mutual TLS on rh2: what is refused, and that both ends log the reason and the remedy. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { afterEach, describe, it } from "node:test";
import net from "node:net";
import { createControlPlane } from "../../../src/control/control-plane.ts";
import type { ControlPlane } from "../../../src/control/control-plane.ts";
import type { PortTls } from "../../../src/control/listener/port.ts";
import { assertEchoes, file, followAgent, keptLog } from "../../support/agents.ts";
import type { FollowedAgent, KeptLine } from "../../support/agents.ts";
import type { EventLog } from "../../support/event-log.ts";
import { next, within } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { missing } from "../../support/parts.ts";
import { createPki, issueServer } from "../../support/pki.ts";
import type { CertificateRequest, Credential } from "../../support/pki.ts";
import { startEchoTarget } from "../../support/target.ts";

afterEach(() => assertNothingOpen());

const HOUR_MS = 3_600_000;
const servers = await createPki("servers");
const clients = await createPki("clients");
const others = await createPki("others");
const wolf: CertificateRequest = { commonName: "wolf-1", purposes: ["client"] };
const ago = (hours: number) => new Date(Date.now() - hours * HOUR_MS);
const serialOf = ({ cert }: Credential) => new X509Certificate(cert).serialNumber;

interface Case {
  what: string;
  issue: () => Promise<Credential | undefined>;
  runner?: string;
  agent: RegExp;
  control?: RegExp;
}

const REFUSED: Case[] = [
  {
    what: "of another CA",
    issue: () => others.issue(wolf),
    agent:
      /refused: unauthenticated: .* \(serial [0-9A-F]+\) was issued by CN=others, which is not a client CA here: use one that --client-ca has signed/,
  },
  {
    what: "that calls itself as the client CA's, but that another has signed",
    issue: async () => (await createPki("clients")).issue(wolf),
    agent: /was issued by CN=clients, which is not a client CA here/,
  },
  {
    what: "that has expired",
    issue: () => clients.issue({ ...wolf, notBefore: ago(240), notAfter: ago(1) }),
    agent: /the client certificate \(serial [0-9A-F]+\) expired at 20.*Z: renew it/,
  },
  {
    what: "whose time has not come",
    issue: () => clients.issue({ ...wolf, notBefore: ago(-2), notAfter: ago(-4) }),
    agent: /the client certificate \(serial [0-9A-F]+\) is not valid before 20.*Z: check both clocks/,
  },
  {
    what: "that is for servers",
    issue: () => clients.issue({ ...wolf, purposes: ["server"] }),
    agent: /is not accepted: INVALID_PURPOSE \(it was not issued for TLS clients\)/,
  },
  {
    what: "that is not for the runner",
    issue: () => clients.issue(wolf),
    runner: "wolf-2",
    agent: /refused: not_allowed: .* the client certificate is for wolf-1: use one for this runner too/,
  },
];

describe("a client certificate", () => {
  for (const { what, issue, runner = "wolf-1", agent: says } of REFUSED) {
    it(`${what} is refused, and both ends log why`, async () => {
      await using stand = await start();
      const credential = await issue();
      assert.ok(credential !== undefined);
      const { error } = await stand.addAgent(runner, credential).failed();
      assert.match(error.message, says);
      const line = await stand.lines.find(({ message }) => message === "agent not admitted", "the refusal");
      assert.equal(line.level, "warn");
      assert.equal(line.fields["serial"], serialOf(credential));
      assert.equal(line.fields["subject"], "CN=wolf-1");
      assert.notEqual(line.fields["reason"], undefined);
      assert.doesNotMatch(JSON.stringify(stand.lines.all), /PRIVATE KEY|BEGIN CERTIFICATE/);
      assert.deepEqual(stand.controlPlane.runners(), []);
    });
  }

  it("that has been revoked by a list of its CA is refused, and its neighbours are not", async () => {
    const [bad, good] = [await clients.issue(wolf), await clients.issue({ ...wolf, commonName: "wolf-2" })];
    await using stand = await start({ clientCrl: await clients.revocationList(serialOf(bad)) });
    const { error } = await stand.addAgent("wolf-1", bad).failed();
    assert.match(error.message, /refused: unauthenticated: .* has been revoked: ask for a new one/);
    await stand.addAgent("wolf-2", good).connected();
    await assertEchoes(stand.controlPlane.dial, "wolf-2", "echo");
  });

  it("that has been revoked by a plain serial is refused", async () => {
    const bad = await clients.issue(wolf);
    const plain = (serialOf(bad).toLowerCase().match(/../g) ?? []).join(":");
    await using stand = await start({ clientCrl: `# stolen\nserial=${plain}\n` });
    assert.match((await stand.addAgent("wolf-1", bad).failed()).error.message, /has been revoked/);
  });

  it("is missing: the control plane requests the agent's token, and without one the error names what is missing", async () => {
    await using stand = await start();
    const agent = stand.addAgent("wolf-1", { token: "unknown" });
    assert.match(
      (await agent.failed()).error.message,
      /refused: unauthenticated: .* no client certificate was presented; the token is unknown/,
    );
  });

  it("is not requested without a client CA, and the agent's error names the option", async () => {
    await using stand = await start({ clientCa: undefined });
    const agent = stand.addAgent("wolf-1", await clients.issue(wolf));
    assert.match((await agent.failed()).error.message, /no client certificate was requested .*--client-ca/);
  });
});

describe("the control plane's certificate", () => {
  const cases: { what: string; issue: () => Promise<Credential>; agent: RegExp }[] = [
    {
      what: "for another name",
      issue: () => servers.issue({ commonName: "x", dns: ["cp.example"] }),
      agent: /does not match certificate's altnames.*--server-name/,
    },
    {
      what: "of another CA",
      issue: () => issueServer(others),
      agent: /the CA in \S+ has not issued it: give the one that has with --ca/,
    },
    {
      what: "that has expired",
      issue: () =>
        servers.issue({ commonName: "localhost", dns: ["localhost"], notBefore: ago(99), notAfter: ago(1) }),
      agent: /certificate has expired.*renew it at the control plane/,
    },
  ];
  for (const { what, issue, agent: says } of cases) {
    it(`${what} is refused by the agent with a hint, and the control plane logs that the agent left`, async () => {
      await using stand = await start(await issue());
      const agent = stand.addAgent("wolf-1", await clients.issue(wolf));
      assert.match((await agent.failed()).error.message, says);
      const line = await stand.lines.find(({ message }) => message === "TLS handshake failed", "its end");
      assert.equal(line.level, "warn");
      assert.match(
        String(line.fields["reason"]),
        /does not trust our certificate or dials a name that is not in it/,
      );
    });
  }
});

describe(
  "another TLS end, which refuses by alert when the agent's handshake is over",
  { skip: missing("openssl") },
  () => {
    const cases: { what: string; issue: () => Promise<Credential | undefined>; says: RegExp }[] = [
      {
        what: "the CA",
        issue: () => others.issue(wolf),
        says: /alert "unknown ca": it does not know the CA/,
      },
      {
        what: "a missing certificate",
        issue: async () => undefined,
        says: /alert "certificate required": .*--cert/,
      },
      {
        what: "an expired certificate",
        issue: () => clients.issue({ ...wolf, notBefore: ago(99), notAfter: ago(1) }),
        says: /alert "certificate expired": the client certificate has expired: renew it/,
      },
    ];
    for (const carrier of ["auto", "rh2", "ptth", "websocket"] as const) {
      for (const { what, issue, says } of cases) {
        it(`is understood by ${carrier}: ${what}`, async () => {
          await using server = await startOpenssl(carrier === "rh2" || carrier === "auto");
          const credential = await issue();
          await using agent = followAgent({
            server: `https://localhost:${server.port}`,
            carrier,
            caFile: file(servers.ca),
            ...(credential !== undefined && {
              certFile: file(credential.cert),
              keyFile: file(credential.key),
            }),
          });
          const { error } = await agent.failed();
          assert.match(error.message, says);
          assert.doesNotMatch(error.message, /hang up|SETTINGS|rec_layer/);
        });
      }
    }
  },
);

interface Stand extends AsyncDisposable {
  controlPlane: ControlPlane;
  lines: EventLog<KeptLine>;
  addAgent(runner: string, credential: Credential | { token: string }): FollowedAgent;
}

async function start(tls: Partial<PortTls> = {}): Promise<Stand> {
  const stack = new AsyncDisposableStack();
  const target = stack.use(await startEchoTarget());
  const { log, lines } = keptLog();
  const controlPlane = stack.use(
    await createControlPlane({
      port: 0,
      host: "127.0.0.1",
      tls: { ...(await issueServer(servers)), clientCa: clients.ca, ...tls },
      drainMs: 500,
      log,
    }),
  );
  return {
    controlPlane,
    lines,
    addAgent: (runner, credential) =>
      stack.use(
        followAgent({
          server: `https://localhost:${controlPlane.port}`,
          carrier: "rh2",
          caFile: file(servers.ca),
          runners: { [runner]: { echo: target.address } },
          ...("token" in credential
            ? { token: { value: credential.token } }
            : { token: undefined, certFile: file(credential.cert), keyFile: file(credential.key) }),
        }),
      ),
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** A TLS 1.3 server that checks client certificates in the handshake, as OpenSSL does and node does not. */
async function startOpenssl(isReversed: boolean): Promise<AsyncDisposable & { port: number }> {
  const { cert, key } = await issueServer(servers);
  const port = await freePort();
  const files = ["-cert", file(cert), "-key", file(key), "-CAfile", file(clients.ca)];
  const child = spawn(
    "openssl",
    ["s_server", "-accept", String(port), ...files, "-Verify", "1", "-verify_return_error", "-tls1_3"].concat(
      isReversed ? ["-alpn", "rh2"] : [],
    ),
    { stdio: ["pipe", "pipe", "ignore"] }, // at the end of its input it ends
  );
  const closed = new Promise((resolve) => child.once("close", resolve));
  const accepting = Promise.withResolvers<void>();
  child.stdout.on("data", (chunk: Buffer) => {
    if (chunk.includes("ACCEPT")) accepting.resolve();
  });
  await within(accepting.promise, "openssl s_server");
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGKILL");
      await within(closed, "the end of openssl");
    },
  };
}

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0);
  await next(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  server.close();
  return port;
}
