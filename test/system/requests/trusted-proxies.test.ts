/** Which reverse proxies are trusted to name the client, and requests that two servers in a row could read in two ways. */
import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import type { ControlPlaneOptions } from "../../../src/control/control-plane.ts";
import { MAX_PROXY_HEADER_BYTES } from "../../../src/control/limits.ts";
import { followAgent, keptLog } from "../../support/agents.ts";
import { CALLERS, openCaller, via } from "../../support/callers.ts";
import { startForwardingProxy, startProxyProtocolProxy } from "../../support/reverse-proxies.ts";
import { call } from "../../support/http.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { startRawTarget } from "../../support/raw-target.ts";
import type { RawTarget } from "../../support/raw-target.ts";
import { exchangeHttp2, exchangeRaw } from "../../support/raw-http.ts";
import { API, AUTHORIZATION, outcome, SMUGGLING, startWitness } from "../../support/smuggling.ts";
import { ADMIN_TOKEN, RUNNER, startSystem, TARGET } from "../../support/system.ts";

const rows: string[][] = [];
after(async () => {
  const widths = [0, 1, 2].map((column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  for (const row of rows)
    console.log(
      row
        .map((cell, i) => cell.padEnd(widths[i] ?? 0))
        .join(" | ")
        .trimEnd(),
    );
  await assertNothingOpen();
});

/** A trusted proxy and an untrusted peer, both on loopback, where 127.0.0.1 is the agent. */
const TRUSTED_PROXY = "127.0.0.3";
const STRANGER = "127.0.0.2";
const CLIENT = "203.0.113.9";
const TRUST = ["127.0.0.3", "10.0.0.0/8", "2001:db8:f::/48"];

const PROXY_1 = `PROXY TCP4 ${CLIENT} 198.51.100.1 56324 443\r\n`;
const SIGNATURE_2 = "\r\n\r\n\0\r\nQUIT\n";
const v2 = (rest: string): string =>
  SIGNATURE_2 + Buffer.from(rest.replaceAll(" ", ""), "hex").toString("latin1");
const PROXY_2 = v2("21 11 000c cb007109 c6336401 dc04 01bb");
const PROXY_2_TLS = v2("21 11 0014 cb007109 c6336401 dc04 01bb 20 0005 01 00000000");
const PROXY_2_IPV6 = v2(`21 21 0024 20010db8${"00".repeat(11)}09 20010db8${"00".repeat(11)}01 dc04 01bb`);
const PROXY_2_LOCAL = v2("20 00 0000");
const PROXY_2_CUT = v2("21 11 0004 cb007109");

type Configuration = "default" | "forwarded" | "PROXY allowed" | "PROXY required" | "none trusted";

const CONFIGURATIONS: Readonly<Record<Configuration, ControlPlaneOptions>> = {
  default: { trustedProxies: TRUST },
  forwarded: { trustedProxies: TRUST, forwardedFields: "forwarded" },
  "PROXY allowed": { trustedProxies: TRUST, proxyProtocol: "allow" },
  "PROXY required": { trustedProxies: TRUST, proxyProtocol: "require" },
  "none trusted": {},
};

interface Case {
  name: string;
  /** PROXY header, sent before the request. */
  header?: string;
  fields?: string;
  from?: string;
  /** `ADDRESS SCHEME HOST` in the fields that the target receives, or the status of a refused request. */
  expected: string;
}

const SPOOF =
  "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: evil.example\r\nForwarded: for=6.6.6.6;proto=https\r\n";

const CASES: Readonly<Record<Configuration, readonly Case[]>> = {
  default: [
    { name: "no fields", expected: `${TRUSTED_PROXY} http cp.example` },
    { name: "one hop", fields: `X-Forwarded-For: ${CLIENT}\r\n`, expected: `${CLIENT} http cp.example` },
    {
      name: "a caller's own claim before the proxy's",
      fields: `X-Forwarded-For: 6.6.6.6, ${CLIENT}\r\n`,
      expected: `${CLIENT} http cp.example`,
    },
    {
      name: "two fields in place of one",
      fields: `X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: ${CLIENT}\r\n`,
      expected: `${CLIENT} http cp.example`,
    },
    {
      name: "over two proxies of ours",
      fields: `X-Forwarded-For: 6.6.6.6, ${CLIENT}, 10.1.1.1, 2001:db8:f::1\r\n`,
      expected: `${CLIENT} http cp.example`,
    },
    {
      name: "IPv6 with a port",
      fields: "X-Forwarded-For: [2001:db8::9]:4711\r\n",
      expected: "2001:db8::9 http cp.example",
    },
    {
      name: "nonsense",
      fields: "X-Forwarded-For: <script>\r\n",
      expected: `${TRUSTED_PROXY} http cp.example`,
    },
    {
      name: "scheme and host",
      fields: "X-Forwarded-Proto: https\r\nX-Forwarded-Host: public.example:8443\r\n",
      expected: `${TRUSTED_PROXY} https public.example:8443`,
    },
    {
      name: "a host that is none",
      fields: "X-Forwarded-Proto: gopher\r\nX-Forwarded-Host: a b/c\r\n",
      expected: `${TRUSTED_PROXY} http cp.example`,
    },
    { name: "a stranger's fields", from: STRANGER, fields: SPOOF, expected: `${STRANGER} http cp.example` },
    {
      name: "Forwarded, which our proxies do not write",
      fields: `Forwarded: for=6.6.6.6;proto=https\r\nX-Forwarded-For: ${CLIENT}\r\n`,
      expected: `${CLIENT} http cp.example`,
    },
    { name: "PROXY, which is off", header: PROXY_1, expected: "400" },
    { name: "PROXY version 2, which is off", header: PROXY_2, expected: "400" },
  ],
  forwarded: [
    {
      name: "for, proto and host",
      fields: `Forwarded: for=6.6.6.6;host=evil.example, for=${CLIENT};proto=https;host=public.example, for=10.1.1.1\r\n`,
      expected: `${CLIENT} https public.example`,
    },
    {
      name: "X-Forwarded-*, which our proxies do not write",
      fields: `X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-Proto: https\r\nForwarded: for="[2001:db8::9]"\r\n`,
      expected: "2001:db8::9 http cp.example",
    },
    {
      name: "malformed",
      fields: "Forwarded: for=6.6.6.6;;\r\n",
      expected: `${TRUSTED_PROXY} http cp.example`,
    },
    {
      name: "hidden",
      fields: "Forwarded: for=6.6.6.6, for=_hidden\r\n",
      expected: `${TRUSTED_PROXY} http cp.example`,
    },
    { name: "a stranger's", from: STRANGER, fields: SPOOF, expected: `${STRANGER} http cp.example` },
  ],
  "PROXY allowed": [
    { name: "no header", expected: `${TRUSTED_PROXY} http cp.example` },
    { name: "version 1", header: PROXY_1, expected: `${CLIENT} http cp.example` },
    {
      name: "version 1, IPv6",
      header: "PROXY TCP6 2001:db8::9 ::1 1 2\r\n",
      expected: "2001:db8::9 http cp.example",
    },
    { name: "version 1, UNKNOWN", header: "PROXY UNKNOWN\r\n", expected: `${TRUSTED_PROXY} http cp.example` },
    { name: "version 2", header: PROXY_2, expected: `${CLIENT} http cp.example` },
    { name: "version 2, IPv6", header: PROXY_2_IPV6, expected: "2001:db8::9 http cp.example" },
    { name: "version 2, TLS at the proxy", header: PROXY_2_TLS, expected: `${CLIENT} https cp.example` },
    { name: "version 2, LOCAL", header: PROXY_2_LOCAL, expected: `${TRUSTED_PROXY} http cp.example` },
    {
      name: "fields of a client behind a header",
      header: PROXY_2,
      fields: SPOOF,
      expected: `${CLIENT} http cp.example`,
    },
    {
      name: "fields behind a header that does not say who",
      header: PROXY_2_LOCAL,
      fields: SPOOF,
      expected: `${TRUSTED_PROXY} http cp.example`,
    },
    {
      name: "fields of a proxy of ours behind a header",
      header: "PROXY TCP4 10.1.1.1 198.51.100.1 1 2\r\n",
      fields: `X-Forwarded-For: ${CLIENT}\r\n`,
      expected: `${CLIENT} http cp.example`,
    },
    { name: "a second header", header: PROXY_1 + PROXY_1, expected: "400" },
    { name: "version 2 that is cut short", header: PROXY_2_CUT, expected: "closed" },
    { name: "version 1 that is malformed", header: `PROXY TCP4 ${CLIENT}\r\n`, expected: "closed" },
    { name: "version 1 without an end", header: `PROXY UNKNOWN ${"x".repeat(200)}`, expected: "closed" },
    {
      name: "version 2 beyond its bound",
      header: v2(`21 11 ${MAX_PROXY_HEADER_BYTES.toString(16)}`),
      expected: "closed",
    },
    { name: "a stranger's header", from: STRANGER, header: PROXY_1, expected: "400" },
    { name: "a stranger's header, version 2", from: STRANGER, header: PROXY_2, expected: "400" },
    { name: "a stranger without one", from: STRANGER, expected: `${STRANGER} http cp.example` },
  ],
  "PROXY required": [
    { name: "version 1", header: PROXY_1, expected: `${CLIENT} http cp.example` },
    { name: "no header", expected: "closed" },
    { name: "a stranger without one", from: STRANGER, expected: `${STRANGER} http cp.example` },
    { name: "a stranger's header", from: STRANGER, header: PROXY_1, expected: "400" },
  ],
  "none trusted": [
    { name: "no fields", expected: `${TRUSTED_PROXY} http cp.example` },
    { name: "X-Forwarded-* and Forwarded", fields: SPOOF, expected: `${TRUSTED_PROXY} http cp.example` },
    { name: "X-Real-IP", fields: "X-Real-IP: 6.6.6.6\r\n", expected: `${TRUSTED_PROXY} http cp.example` },
    {
      name: "the same names with underscores",
      fields: "X_Forwarded_For: 6.6.6.6\r\nX_Real_IP: 6.6.6.6\r\nForwarded: for=6.6.6.6\r\n",
      expected: `${TRUSTED_PROXY} http cp.example`,
    },
    { name: "PROXY", header: PROXY_1, expected: "400" },
  ],
};

async function startTarget(): Promise<RawTarget> {
  return startRawTarget(({ socket }) =>
    socket.end("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"),
  );
}

/** What the fields of a request report to the target about its client. */
function reportedClient(head: string): string {
  assert.doesNotMatch(head, /6\.6\.6\.6|evil|^forwarded:|^x-real-ip/im);
  return ["for", "proto", "host"]
    .map((name) =>
      [...head.matchAll(new RegExp(`^x-forwarded-${name}: (.*)$`, "gim"))].map(([, value]) => value),
    )
    .join(" ");
}

for (const [configuration, cases] of Object.entries(CASES)) {
  describe(`who the client is: ${configuration}`, () => {
    for (const { name, header = "", fields = "", from = TRUSTED_PROXY, expected } of cases) {
      it(`${name}: ${expected}`, async () => {
        const target = await startTarget();
        const controlPlane = CONFIGURATIONS[configuration as Configuration];
        await using system = await startSystem({ target, controlPlane });
        const request = `GET ${API}/ HTTP/1.1\r\nHost: cp.example\r\n${AUTHORIZATION}${fields}Connection: close\r\n\r\n`;
        const { statuses } = await exchangeRaw(system.controlPlane.port, header + request, { from });
        const [head] = target.heads;
        const seen = head === undefined ? statuses.join(",") || "closed" : reportedClient(head);
        rows.push([from === TRUSTED_PROXY ? "trusted" : "stranger", `${configuration}: ${name}`, seen]);
        assert.equal(seen, expected);
        if (head !== undefined) assert.deepEqual(statuses, [200]);
      });
    }
  });
}

describe("what depends on the client", () => {
  /** An unsafe request with a browser's cookie, from a page of the origin. */
  async function change(port: number, from: string, origin: string, fields = ""): Promise<number[]> {
    const cookie = `Cookie: access_token=${ADMIN_TOKEN}\r\nOrigin: ${origin}\r\n`;
    const request = `POST ${API}/ HTTP/1.1\r\nHost: cp.example\r\n${cookie}${fields}Content-Length: 0\r\nConnection: close\r\n\r\n`;
    return (await exchangeRaw(port, request, { from })).statuses;
  }
  const PUBLIC = "X-Forwarded-Proto: https\r\nX-Forwarded-Host: public.example\r\n";

  it("takes its own origin from a trusted proxy, and from no other peer", async () => {
    const target = await startTarget();
    await using system = await startSystem({ target, controlPlane: CONFIGURATIONS.default });
    const { port } = system.controlPlane;
    assert.deepEqual(await change(port, TRUSTED_PROXY, "https://public.example", PUBLIC), [200]);
    assert.deepEqual(await change(port, TRUSTED_PROXY, "https://public.example:443", PUBLIC), [200]);
    assert.deepEqual(
      await change(port, TRUSTED_PROXY, "http://public.example", PUBLIC),
      [403],
      "not a page by http",
    );
    assert.deepEqual(
      await change(port, TRUSTED_PROXY, "https://cp.example", PUBLIC),
      [403],
      "only behind the proxy",
    );
    assert.deepEqual(await change(port, STRANGER, "https://public.example", PUBLIC), [403]);
    assert.deepEqual(await change(port, STRANGER, "http://cp.example", PUBLIC), [200]);
  });

  it("logs the client, at the API, at the forward proxy, and at the agent endpoint", async () => {
    const { log, lines } = keptLog();
    await using system = await startSystem({ controlPlane: { ...CONFIGURATIONS.default, log } });
    const { port } = system.controlPlane;
    const fields = `Host: cp.example\r\nX-Forwarded-For: ${CLIENT}\r\n`;
    const unknown = "Authorization: Bearer nonsense\r\nConnection: close\r\n\r\n";
    for (const [request, message, name] of [
      [`GET ${API}/ HTTP/1.1\r\n${fields}${unknown}`, "request refused", "client"],
      [`CONNECT ${TARGET}.${RUNNER}:80 HTTP/1.1\r\n${fields}\r\n`, "CONNECT refused", "client"],
      [
        `GET /api/v1/revdial?runnerid=x HTTP/1.1\r\n${fields}Upgrade: ptth\r\nConnection: upgrade\r\n${unknown.replace("Connection: close\r\n", "")}`,
        "agent endpoint: refused",
        "peer",
      ],
    ] as const) {
      await exchangeRaw(port, request, { from: TRUSTED_PROXY });
      const line = await lines.find((kept) => kept.message === message, message);
      assert.equal(line.fields[name], CLIENT, message);
    }
  });

  for (const kind of CALLERS) {
    it(`is the address in a PROXY header before ${kind}, also if it arrives byte by byte`, async () => {
      const target = await startTarget();
      await using system = await startSystem({
        tls: true,
        target,
        controlPlane: { trustedProxies: ["127.0.0.0/8"], proxyProtocol: "allow", plainHttpFrom: [CLIENT] },
      });
      await using proxy = await startProxyProtocolProxy(system.controlPlane.port, PROXY_2);
      await using caller = await openCaller(kind, { controlPlane: proxy, pki: system.pki });
      for (const [i, path] of ["/a", "/b"].entries()) {
        assert.equal((await caller.call({ path: via(path) })).status, 200);
        assert.match(target.heads[i] ?? "", new RegExp(`^x-forwarded-for: ${CLIENT}$`, "im"));
      }
    });
  }

  for (const carrier of ["rh2", "ptth", "websocket"] as const) {
    it(`is an agent on ${carrier} behind a PROXY header`, async () => {
      await using system = await startSystem({
        tls: true,
        agents: 0,
        controlPlane: { trustedProxies: ["127.0.0.0/8"], proxyProtocol: "allow" },
      });
      await using proxy = await startProxyProtocolProxy(system.controlPlane.port, PROXY_2);
      await using agent = followAgent({
        server: `https://localhost:${proxy.port}`,
        caFile: system.caFile,
        carrier,
      });
      await agent.connected();
      await system.controlPlane.dial(RUNNER, TARGET, { waitMs: 5_000 }).catch(() => {});
      const { body } = await call(`${system.url}/api/v1/runners/${RUNNER}`, { ca: system.pki?.ca });
      assert.match(body, /"peer":"203\.0\.113\.9"/);
    });
  }

  it("shows an agent by its own address behind a trusted proxy", async () => {
    await using system = await startSystem({ agents: 0, controlPlane: { trustedProxies: ["127.0.0.0/8"] } });
    await using proxy = await startForwardingProxy(system.controlPlane.port);
    await using agent = followAgent({ server: `http://127.0.0.1:${proxy.port}` });
    await agent.connected();
    const runner = async (): Promise<string> => (await call(`${system.url}/api/v1/runners/${RUNNER}`)).body;
    await system.controlPlane.dial(RUNNER, TARGET, { waitMs: 5_000 }).catch(() => {});
    assert.match(await runner(), /"peer":"203\.0\.113\.9"/);
  });
});

/** Sent directly: a reverse proxy refuses most of these itself. */
const DIRECT: readonly (readonly [name: string, bytes: string, seen: string])[] = [
  [
    "Transfer-Encoding in HTTP/1.0",
    `POST ${API}/first HTTP/1.0\r\nHost: cp.example\r\n${AUTHORIZATION}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    "400",
  ],
  ...["Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n"].map(
    (field) =>
      [
        `CONNECT with ${field.trim()}`,
        `CONNECT ${TARGET}.${RUNNER}:80 HTTP/1.1\r\nHost: ${TARGET}.${RUNNER}:80\r\nProxy-${AUTHORIZATION}${field}\r\nhello`,
        "400",
      ] as const,
  ),
  ...["cp.example/x", "user@cp.example", "cp.example, b.example", "cp example"].map(
    (host) => [`Host: ${host}`, get(`${API}/first`, `Host: ${host}\r\n`), "400"] as const,
  ),
  ["a fragment in the target", get(`${API}/first#/second`, "Host: cp.example\r\n"), "400"],
  ["Host with a port", get(`${API}/first`, "Host: cp.example:8080\r\n"), "200 > GET /first"],
];

function get(path: string, fields: string): string {
  return `GET ${path} HTTP/1.1\r\n${fields}${AUTHORIZATION}Connection: close\r\n\r\n`;
}

describe("a request that two servers could read in two ways", () => {
  for (const [name, bytes, expected] of DIRECT) {
    it(`${name}: ${expected}`, async () => {
      const target = await startWitness();
      await using system = await startSystem({ target });
      const seen = await outcome(system.controlPlane.port, bytes, target.lines);
      rows.push(["HTTP/1.1", name, seen]);
      assert.equal(seen, expected);
    });
  }

  for (const { name, bytes, direct } of SMUGGLING) {
    it(`${name}: ${direct}`, async () => {
      const target = await startWitness();
      await using system = await startSystem({ target });
      const seen = await outcome(system.controlPlane.port, bytes, target.lines);
      rows.push(["HTTP/1.1", name, seen]);
      assert.equal(seen, direct);
    });
  }

  const REQUEST = [
    [":method", "GET"],
    [":scheme", "http"],
    [":authority", "cp.example"],
  ] as const;
  const TOKEN = ["authorization", `Bearer ${ADMIN_TOKEN}`] as const;
  const PATH = [":path", `${API}/first`] as const;
  for (const [name, fields, expected] of [
    ["nothing of that", [...REQUEST, PATH, TOKEN], "200 > GET /first"],
    ["the same name in Host", [...REQUEST, PATH, TOKEN, ["host", "CP.example"]], "200 > GET /first"],
    ["another name in Host", [...REQUEST, PATH, TOKEN, ["host", "other.example"]], "400"],
    ["two Hosts", [...REQUEST, PATH, TOKEN, ["host", "cp.example"], ["host", "other.example"]], "reset 1"],
    ["CR LF in :path", [...REQUEST, [":path", `${API}/first HTTP/1.1\r\nX: y`], TOKEN], "reset 1"],
    ["a space in :path", [...REQUEST, [":path", `${API}/first x`], TOKEN], "reset 1"],
    ["NUL in :path", [...REQUEST, [":path", `${API}/fir\0st`], TOKEN], "reset 1"],
    [
      "CR LF in a value, which is dropped",
      [...REQUEST, PATH, TOKEN, ["x-a", "b\r\nx-c: d"]],
      "200 > GET /first",
    ],
    ["CR LF in a name, which is dropped", [...REQUEST, PATH, TOKEN, ["x-a\r\nx-b", "c"]], "200 > GET /first"],
    ["a colon in a name, which is dropped", [...REQUEST, PATH, TOKEN, ["x-a: b", "c"]], "200 > GET /first"],
    ["an upper-case name", [...REQUEST, PATH, TOKEN, ["X-A", "b"]], "reset 1"],
    ["connection", [...REQUEST, PATH, TOKEN, ["connection", "x-forwarded-for"]], "reset 1"],
    ["transfer-encoding", [...REQUEST, PATH, TOKEN, ["transfer-encoding", "chunked"]], "reset 1"],
    ["upgrade", [...REQUEST, PATH, TOKEN, ["upgrade", "h2c"]], "reset 1"],
    ["te: gzip", [...REQUEST, PATH, TOKEN, ["te", "gzip"]], "reset 1"],
    ["a content-length without its body", [...REQUEST, PATH, TOKEN, ["content-length", "5"]], "reset 1"],
    ["two :paths", [...REQUEST, PATH, [":path", "/healthz"], TOKEN], "reset 1"],
    ["two :authorities", [...REQUEST, [":authority", "evil.example"], PATH, TOKEN], "reset 1"],
    ["a pseudo-header behind a field", [...REQUEST, TOKEN, PATH], "reset 1"],
    ["an unknown pseudo-header", [...REQUEST, PATH, [":x", "y"], TOKEN], "reset 1"],
    ["absolute form", [...REQUEST, [":path", `http://${TARGET}.${RUNNER}/first`], TOKEN], "reset 1"],
  ] as const) {
    it(`over HTTP/2, ${name}: ${expected}`, async () => {
      const target = await startWitness();
      await using system = await startSystem({ target });
      const status = await exchangeHttp2(system.controlPlane.port, fields);
      const seen = [status, ...target.lines].join(" > ");
      rows.push(["HTTP/2", name, seen]);
      assert.equal(seen, expected);
      assert.doesNotMatch(target.fields.join("\n"), /^x-[abc]|[\r\0]/im);
    });
  }
});
