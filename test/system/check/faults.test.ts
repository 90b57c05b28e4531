/** The checks name each fault, with what was seen and a remedy; whatever else works is not blamed. */
import assert from "node:assert/strict";
import { chmodSync } from "node:fs";
import { after, afterEach, before, describe, it } from "node:test";
import { runChecks } from "../../../src/agent/check/checks.ts";
import type { RunOptions } from "../../../src/agent/check/checks.ts";
import type { CheckOptions } from "../../../src/agent/check/context.ts";
import type { CheckName, Finding } from "../../../src/agent/check/finding.ts";
import { parseTarget } from "../../../src/agent/targets/targets.ts";
import { DAY_MS } from "../../../certs/lifetimes.ts";
import { hashToken } from "../../../src/control/auth/tokens.ts";
import type { TokenRecord } from "../../../src/control/auth/tokens.ts";
import { startProxy } from "../../fronts/proxies.ts";
import { file } from "../../support/agents.ts";
import { DockerEngine } from "../../support/docker-engine.ts";
import { startConnectProxy } from "../../support/outbound-proxies.ts";
import { EventLog } from "../../support/event-log.ts";
import { missing } from "../../support/parts.ts";
import { createPki, issueServer } from "../../support/pki.ts";
import type { Credential, Pki } from "../../support/pki.ts";
import { startRelayTo } from "../../support/relays.ts";
import { startStranger, startTlsTerminator, startWebSocketOnlyProxy } from "../../support/reverse-proxies.ts";
import { ADMIN_TOKEN, RUNNER, startControlPlane, startSystem, TARGET } from "../../support/system.ts";
import type { System } from "../../support/system.ts";
import { refusingAddress, startTarget } from "../../support/target.ts";

const SILENT_MS = 300;

let system: System;
let pki: Pki;
let server: Credential;
let caFile: string;

before(async () => {
  pki = await createPki();
  server = await issueServer(pki);
  caFile = file(pki.ca);
  const tokens: TokenRecord[] = [
    { id: "host", kind: "runner", sha256: hashToken("token-of-host"), runners: ["runner-*"] },
    { id: "gone", kind: "runner", sha256: hashToken("token-expired"), runners: ["*"], expiresAtMs: 1 },
    { id: "alice", kind: "user", sha256: hashToken("token-of-alice"), runners: ["*"] },
  ];
  // Its agent serves the runner all the while.
  const token = { value: "token-of-host" };
  system = await startSystem({ controlPlane: { tls: server, tokens }, agent: { token } });
});
after(() => system.close());
afterEach(() => {
  for (const name of ["HTTP_PROXY", "HTTPS_PROXY"]) delete process.env[name];
});

function check(options: Partial<CheckOptions> = {}, run: RunOptions = {}): Promise<Finding[]> {
  const runners = [{ id: RUNNER, targets: [] }];
  return runChecks({ server: system.url, runners, token: { value: "token-of-host" }, ...options }, run);
}

function stateOf(findings: readonly Finding[], name: CheckName, subject?: string): string {
  const found = findings.filter((one) => one.check === name && (subject ?? one.subject) === one.subject);
  return found.map(({ state }) => state).join(" ");
}

function failedIn(findings: readonly Finding[]): string[] {
  return [...new Set(findings.flatMap(({ check: name, state }) => (state === "failed" ? [name] : [])))];
}

/** These checks fail, and no others; the first says so, and what to do. */
function assertNamed(findings: readonly Finding[], names: CheckName[], seen: RegExp, remedy: RegExp): void {
  const table = findings.map(
    (one) => `${one.state} ${one.check} ${one.subject}: ${one.seen} -> ${one.remedy}`,
  );
  assert.deepEqual(failedIn(findings), names, table.join("\n"));
  const first = findings.find((one) => one.check === names[0] && one.state === "failed");
  assert.match(first?.seen ?? "", seen);
  assert.match(first?.remedy ?? "", remedy);
}

describe("checks where all is well", () => {
  it("find every carrier with its round trip, the token and the targets, on TLS and without", async () => {
    const targets = [parseTarget(`${TARGET}=${system.target.address}`)];
    const runners = [{ id: RUNNER, targets }];
    const plain = await check({ runners });
    const secure = await check({ runners, server: `https://localhost:${system.controlPlane.port}`, caFile });
    for (const findings of [plain, secure]) {
      assert.deepEqual(failedIn(findings), []);
      assert.match(
        findings.find((one) => one.check === "token")?.seen ?? "",
        /runner token host: valid for runner-1/,
      );
      assert.equal(stateOf(findings, "target", `${RUNNER}/${TARGET}`), "ok");
      assert.equal(stateOf(findings, "clock"), "ok");
    }
    assert.equal(stateOf(plain, "carrier"), "skipped ok ok ok");
    assert.equal(stateOf(secure, "carrier"), "ok ok ok ok");
    for (const { check: name, seen } of secure)
      if (name === "carrier") assert.match(seen, /round trip [\d.]+ ms/);
    assert.equal(stateOf(secure, "tls"), "ok");
  });

  it("disturb no agent of the same runner: its connection stays, and no other was there", async () => {
    const events: unknown[] = [];
    const own = await startControlPlane({ onEvent: (event: unknown) => events.push(event) });
    const before = system.controlPlane.runners();
    await check();
    await check({ server: `https://localhost:${system.controlPlane.port}`, caFile });
    assert.deepEqual(system.controlPlane.runners(), before);
    const server = `http://127.0.0.1:${own.port}`;
    assert.deepEqual(failedIn(await check({ server, token: { value: ADMIN_TOKEN } })), []);
    assert.deepEqual([own.runners(), events], [[], []]);
    await own.close();
  });

  it("need no runner", async () => {
    const findings = await check({ runners: [] });
    assert.deepEqual([failedIn(findings), stateOf(findings, "carrier")], [[], "skipped ok ok ok"]);
  });

  it("pass a relay, on a Unix socket and on a port", async () => {
    await using relay = await startRelayTo(system.url);
    for (const server of [relay.unix, relay.http]) {
      const findings = await check({ server });
      assert.deepEqual([failedIn(findings), stateOf(findings, "token")], [[], "ok"], server);
      assert.match(findings.find((one) => one.check === "endpoint")?.seen ?? "", /^a relay/);
    }
  });
});

describe("checks name a fault of the way", () => {
  it("a name that is not found", async () => {
    const findings = await check({ server: "http://control-plane.invalid" });
    assertNamed(findings, ["name"], /ENOTFOUND|EAI_AGAIN/, /the host name does not resolve/);
  });

  it("a name that hangs", async () => {
    const lookup = () => new Promise<never>(() => {});
    const findings = await check({ server: "http://cp.example" }, { lookup, maxStepMs: SILENT_MS });
    assertNamed(findings, ["name"], /nothing within 0\.3 s/, /no name server responds/);
  });

  it("a port that is closed, by every address", async () => {
    const port = Number((await refusingAddress()).split(":").at(-1));
    const lookup = async () => [
      { address: "127.0.0.1", family: 4 },
      { address: "127.0.0.2", family: 4 },
    ];
    const findings = await check({ server: `http://cp.example:${port}` }, { lookup });
    assertNamed(findings, ["tcp"], /ECONNREFUSED/, /nothing listens on this port/);
    assert.equal(stateOf(findings, "tcp"), "failed failed");
  });

  it("one address of several that is closed", async () => {
    const lookup = async () => [
      { address: "127.0.0.1", family: 4 },
      { address: "127.0.0.2", family: 4 },
    ];
    const server = `http://cp.example:${system.controlPlane.port}`;
    const findings = await check({ server, token: undefined }, { lookup, maxStepMs: 2_000 });
    assert.equal(stateOf(findings, "tcp", `127.0.0.1:${system.controlPlane.port}`), "ok");
    assert.equal(stateOf(findings, "tcp", `127.0.0.2:${system.controlPlane.port}`), "warning");
  });

  for (const [scheme, name] of [
    ["http", "endpoint"],
    ["https", "tls"],
  ] as const) {
    it(`a port that is silent, for ${scheme}`, async () => {
      await using silent = await startTarget();
      const findings = await check({ server: `${scheme}://${silent.address}` }, { maxStepMs: SILENT_MS });
      assertNamed(findings, [name], /accepts connections and sends nothing/, /is the control plane's/);
    });
  }

  it("https on a port that speaks plain HTTP", async () => {
    await using plain = await startStranger(200, "hello");
    const findings = await check({ server: `https://127.0.0.1:${plain.port}`, caFile });
    assertNamed(findings, ["tls"], /speaks plain HTTP, and not TLS/, /use http:\/\/127\.0\.0\.1/);
  });

  it("http on a port that speaks TLS", async () => {
    await using terminator = await startTlsTerminator(system.controlPlane.port, server);
    const findings = await check({ server: `http://127.0.0.1:${terminator.port}` });
    assertNamed(findings, ["tls"], /speaks TLS, and not plain HTTP/, /use https:\/\/127\.0\.0\.1/);
  });

  it("a base path that is wrong, and which one is right", async () => {
    const findings = await check({ server: `${system.url}/wrong` });
    assertNamed(
      findings,
      ["endpoint", "carrier"],
      /has no agent endpoint at \/wrong\/api/,
      /leave \/wrong out/,
    );
    await using based = await startControlPlane({ basePath: "/tunnel" });
    const without = await check({ server: `http://127.0.0.1:${based.port}` });
    assertNamed(without, ["endpoint", "carrier"], /has no agent endpoint at \/api/, /--base-path/);
  });

  it("another server in place of the control plane, which gets no secret into the report", async () => {
    await using echo = await startStranger(404, "you sent token-of-host");
    const findings = await check({ server: `http://127.0.0.1:${echo.port}` });
    assertNamed(findings, ["endpoint"], /404, and is not Turnabout: you sent \[redacted\]/, /host, port/);
    assert.ok(!JSON.stringify(findings).includes("token-of-host"));
  });

  it("another server in place of the control plane, and send it no token", async () => {
    const received = new EventLog<string>();
    await using stranger = await startStranger(200, "welcome", {}, (headers) =>
      received.push(headers.authorization ?? "none"),
    );
    const findings = await check({ server: `http://127.0.0.1:${stranger.port}` });
    assertNamed(findings, ["endpoint"], /200, and is not Turnabout/, /host, port/);
    assert.deepEqual(new Set(received.all), new Set(["none"]));
    assert.equal(stateOf(findings, "carrier"), "skipped skipped skipped skipped");
    assert.equal(stateOf(findings, "token"), "skipped");
  });

  it("a server that only looks like the control plane, whatever its response has", async () => {
    for (const body of [
      '{"credential":{"id":"x","kind":"runner"},"runners":[null,7,{"refusal":{}}]}',
      '{"credential":null}',
      "[]",
    ]) {
      await using alike = await startStranger(200, body, { "turnabout-version": "9.9.9" });
      const findings = await check({ server: `http://127.0.0.1:${alike.port}` });
      assert.ok(failedIn(findings).includes("carrier"), body);
    }
  });

  it("a redirect to https", async () => {
    await using moved = await startStranger(301, "", { location: "https://cp.example/api/v1/revdial?x" });
    const findings = await check({ server: `http://127.0.0.1:${moved.port}` });
    assertNamed(findings, ["endpoint"], /redirects to https/, /use https:\/\/cp\.example in --server/);
  });

  it("a proxy that wants a login, and one that refuses it", async () => {
    await using proxy = await startConnectProxy({ login: "corp:s3cret" });
    const server = `http://0.0.0.0:${system.controlPlane.port}`;
    process.env["HTTP_PROXY"] = `http://127.0.0.1:${proxy.port}`;
    assertNamed(await check({ server }), ["proxy"], /407/, /wants a login: set HTTP_PROXY=http:\/\/USER/);
    process.env["HTTP_PROXY"] = `http://corp:wr0ng@127.0.0.1:${proxy.port}`;
    const wrong = await check({ server });
    assertNamed(wrong, ["proxy"], /407/, /does not accept the login/);
    assert.ok(!JSON.stringify(wrong).includes("wr0ng"));
    process.env["HTTP_PROXY"] = `http://corp:s3cret@127.0.0.1:${proxy.port}`;
    assert.deepEqual(failedIn(await check({ server })), []);
  });
});

describe("checks name a fault of TLS", () => {
  const https = (): string => `https://localhost:${system.controlPlane.port}`;

  it("a CA that is not known, and one that is another", async () => {
    assertNamed(await check({ server: https() }), ["tls"], /not trusted: \w+/, /--ca/);
    const other = file((await createPki("another CA")).ca);
    assertNamed(await check({ server: https(), caFile: other }), ["tls"], /not trusted/, /has not issued it/);
  });

  it("another name", async () => {
    const findings = await check({ server: https(), caFile, serverName: "cp.example" });
    assertNamed(findings, ["tls"], /is for DNS:localhost.*not for cp\.example/, /--server-name/);
  });

  for (const [what, dates, seen] of [
    [
      "has expired",
      { notBefore: new Date(Date.now() - 3 * DAY_MS), notAfter: new Date(Date.now() - DAY_MS) },
      /expired/,
    ],
    [
      "is not valid yet",
      { notBefore: new Date(Date.now() + DAY_MS), notAfter: new Date(Date.now() + 3 * DAY_MS) },
      /not valid before/,
    ],
  ] as const) {
    it(`a certificate that ${what}`, async () => {
      const old = await pki.issue({ commonName: "localhost", dns: ["localhost"], ...dates });
      await using terminator = await startTlsTerminator(system.controlPlane.port, old);
      const findings = await check({ server: `https://localhost:${terminator.port}`, caFile });
      assertNamed(findings, ["tls"], seen, /renew it/);
    });
  }

  it("a certificate that expires soon", async () => {
    const dates = {
      notBefore: new Date(Date.now() - 9 * DAY_MS),
      notAfter: new Date(Date.now() + DAY_MS / 2),
    };
    const short = await pki.issue({ commonName: "localhost", dns: ["localhost"], ...dates });
    await using terminator = await startTlsTerminator(system.controlPlane.port, short);
    const findings = await check({ server: `https://localhost:${terminator.port}`, caFile });
    assert.deepEqual([failedIn(findings), stateOf(findings, "tls")], [[], "warning"]);
  });

  it("a clock that is off by a day, here or there", async () => {
    const late = await check({}, { now: () => Date.now() - DAY_MS });
    assertNamed(late, ["clock"], /24 h behind the control plane's/, /NTP/);
    await using wrong = await startStranger(401, "", { date: new Date(Date.now() - DAY_MS).toUTCString() });
    const ahead = await check({ server: `http://127.0.0.1:${wrong.port}`, token: undefined });
    assert.match(ahead.find((one) => one.check === "clock")?.seen ?? "", /24 h ahead of/);
  });
});

describe("checks name a fault of the token", () => {
  it("a file that has more than the token, or none", async () => {
    const line = "ta_token-of-host";
    for (const [text, seen] of [
      [`${line}\n{"id":"host","sha256":"00"}\n`, /more than a token/],
      [`{ "tokens": [] }`, /the JSON of the control plane's token file/],
      [`${line}\n${line}-2\n`, /more than a token/],
      [`Bearer ${line}`, /more than a token/],
      ["", /empty/],
    ] as const) {
      const findings = await check({ token: { file: file(text) } });
      assertNamed(findings, ["token file"], seen, /nothing else/);
      assert.ok(!JSON.stringify(findings).includes(line), text);
    }
  });

  it("a file that every user can read", async () => {
    const path = file("token-of-host");
    chmodSync(path, 0o644);
    const findings = await check({ token: { file: path } });
    assert.deepEqual([failedIn(findings), stateOf(findings, "token file")], [[], "warning"]);
  });

  for (const [what, token, seen] of [
    ["that nobody knows", "token-of-nobody", /does not know the token/],
    ["that has expired", "token-expired", /the token has expired/],
    ["of a user", "token-of-alice", /a user's token registers no runners/],
  ] as const) {
    it(`a token ${what}`, async () => {
      assertNamed(await check({ token: { value: token } }), ["token"], seen, /token/);
    });
  }

  it("a token that has been revoked", async () => {
    const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/json" };
    const url = `${system.url}/api/v1/tokens`;
    const body = JSON.stringify({ id: "old", kind: "runner", runners: ["other"] });
    const created = await fetch(url, { method: "POST", headers, body });
    const { token: secret } = (await created.json()) as { token: string };
    const own = { runners: [{ id: "other", targets: [] }], token: { value: secret } };
    assert.equal(stateOf(await check(own), "token"), "ok");
    await fetch(`${url}/old`, { method: "DELETE", headers });
    assertNamed(await check(own), ["token"], /the token has been revoked/, /new token/);
  });

  it("a token of another runner", async () => {
    const findings = await check({ runners: [{ id: "other", targets: [] }] });
    assertNamed(findings, ["token"], /not valid for this runner/, /runners match other/);
    assert.equal(stateOf(findings, "token", "other"), "failed");
  });
});

describe("checks name a fault of a front", () => {
  it("one that passes no upgrade but WebSockets: those work", async () => {
    await using front = await startWebSocketOnlyProxy(system.controlPlane.port, "drop");
    const findings = await check({ server: `http://127.0.0.1:${front.port}` });
    assert.deepEqual(failedIn(findings), []);
    const ptth = findings.find(({ subject }) => subject === "ptth");
    assert.deepEqual([ptth?.state, stateOf(findings, "carrier", "websocket")], ["warning", "ok"]);
    assert.match(ptth?.remedy ?? "", /not needed: websocket works.*removes Upgrade/);
    const forced = await check({ server: `http://127.0.0.1:${front.port}`, carrier: "ptth" });
    assertNamed(forced, ["carrier"], /426/, /removes Upgrade.*use --carrier websocket, which works/);
  });

  describe("nginx", { skip: missing("nginx") }, () => {
    it("that removes Upgrade", async () => {
      const replace = { "proxy_set_header Upgrade $http_upgrade;": "" };
      await using front = await startProxy("nginx", {
        toPort: system.controlPlane.port,
        credential: server,
        replace,
      });
      const findings = await check({ server: `https://localhost:${front.port}`, caFile });
      const carriers = findings.filter((one) => one.check === "carrier");
      assertNamed(
        carriers.slice(1),
        ["carrier"],
        /refused \(426\)/,
        /removes Upgrade.*proxy_set_header Upgrade/,
      );
      assert.match(carriers[0]?.seen ?? "", /alert no application protocol/);
      assert.equal(stateOf(findings, "token"), "ok", "the token was checked without an upgrade");
    });

    it("that is asked for http on its TLS port", async () => {
      await using front = await startProxy("nginx", { toPort: system.controlPlane.port, credential: server });
      const findings = await check({ server: `http://127.0.0.1:${front.port}` });
      assertNamed(findings, ["tls"], /speaks TLS, and not plain HTTP/, /use https/);
    });
  });
});

describe("checks name a fault of a target", () => {
  const withTarget = (address: string, run?: RunOptions): Promise<Finding[]> =>
    check({ runners: [{ id: RUNNER, targets: [parseTarget(`web=${address}`)] }] }, run);

  it("a closed port, and a missing socket", async () => {
    assertNamed(
      await withTarget(await refusingAddress()),
      ["target"],
      /ECONNREFUSED/,
      /nothing listens there/,
    );
    assertNamed(await withTarget(await refusingAddress("unix")), ["target"], /ENOENT/, /no such socket/);
  });

  it("a socket without permission", async () => {
    await using locked = await startTarget(undefined, { on: "unix" });
    chmodSync(locked.address.slice("unix:".length), 0);
    const isRoot = process.geteuid?.() === 0;
    if (isRoot) process.seteuid?.(65_534);
    try {
      assertNamed(await withTarget(locked.address), ["target"], /EACCES/, /may not open the socket/);
    } finally {
      if (isRoot) process.seteuid?.(0);
    }
  });

  it("a name that does not resolve", async () => {
    const findings = await withTarget("service.invalid:80");
    assertNamed(findings, ["target"], /ENOTFOUND|EAI_AGAIN/, /DNS/);
  });

  it("a Docker Engine that is not there, and one that is", async () => {
    await using engine = await new DockerEngine().listen();
    engine.containers.set("c", { id: "c", labels: { "turnabout.runner": "c" } });
    const there = await check({ docker: engine.url });
    assert.match(there.find((one) => one.check === "docker")?.seen ?? "", /^1 labelled container/);
    const gone = await refusingAddress("unix");
    assertNamed(await check({ docker: gone }), ["docker"], /ENOENT/, /install or start/);
  });

  it("an address that a relay cannot listen on", async () => {
    const folder = await check({ listen: ["127.0.0.1:0", "unix:/no/such/folder/x.sock"] });
    assertNamed(folder, ["relay"], /ENOENT/, /create the directory/);
    const findings = await check({ listen: ["192.0.2.1:7443"] });
    assertNamed(findings, ["relay"], /EADDRNOTAVAIL/, /does not have the address/);
    assert.equal(stateOf(folder, "relay", "127.0.0.1:0"), "ok");
  });
});
