/** The README's way in: real curl, on the API route and on the forward proxy. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { via } from "../../support/callers.ts";
import { curl } from "../../support/curl.ts";
import { startDoubles, viaMoonlight, viaWolf, WOLF_RUNNER } from "../../support/doubles.ts";
import type { DoubleSystem } from "../../support/doubles.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { missing } from "../../support/parts.ts";
import { startRawTarget } from "../../support/raw-target.ts";
import { ADMIN_TOKEN, startSystem } from "../../support/system.ts";

afterEach(() => assertNothingOpen());

const AUTH = ["-H", `Authorization: Bearer ${ADMIN_TOKEN}`];
const PROXY_AUTH = ["--proxy-header", `Proxy-Authorization: Bearer ${ADMIN_TOKEN}`];
/** curl's summary of the exchange, after the body. */
const REPORT = ["-w", "\n%{http_version} %{http_code} %{num_connects}"];

interface Way {
  what: string;
  tls: boolean;
  flags: (doubles: Pick<DoubleSystem, "system">) => string[];
  version: string;
}

const WAYS: readonly Way[] = [
  { what: "--http1.1", tls: false, flags: () => ["--http1.1"], version: "1.1" },
  { what: "--http1.0", tls: false, flags: () => ["--http1.0"], version: "1.1" },
  {
    what: "--http2-prior-knowledge",
    tls: false,
    flags: () => ["--http2-prior-knowledge"],
    version: "2",
  },
  // Upgrade: h2c is obsolete (RFC 9113 §3.1): the request is served as an ordinary one.
  { what: "--http2 on plaintext", tls: false, flags: () => ["--http2"], version: "1.1" },
  {
    what: "--http2 --cacert",
    tls: true,
    flags: ({ system }) => ["--http2", "--cacert", String(system.caFile)],
    version: "2",
  },
  {
    what: "--http1.1 --cacert",
    tls: true,
    flags: ({ system }) => ["--http1.1", "--cacert", String(system.caFile)],
    version: "1.1",
  },
];

/** HTTP/1.0 has no body without a length. */
const PIPES = WAYS.filter(({ what }) => what !== "--http1.0");

/** More than the resets of a caller that are no flood. */
const MANY = 1_500;

describe("curl on the API route", { skip: missing("curl") }, () => {
  it("gets many responses on one HTTP/2 connection: each ends with its content, and is not reset", async () => {
    await using system = await startSystem({
      tls: true,
      target: await startRawTarget(
        ({ socket }) => void socket.write("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"),
      ),
    });
    const flags = ["--http2", "--cacert", String(system.caFile), "-s", "-o", "/dev/null", ...AUTH];
    const url = `${system.url}${via("/")}?[1-${MANY}]`;
    const { code, stdout } = await curl([...flags, "-w", "%{http_code} %{num_connects}\n", url]);
    const seen = stdout.trim().split("\n");
    assert.deepEqual([code, seen.length, new Set(seen)], [0, MANY, new Set(["200 1", "200 0"])]);
    assert.equal(seen.filter((line) => line.endsWith(" 1")).length, 1, "one connection");
  });

  for (const { what, tls, flags, version } of PIPES) {
    it(`POSTs from a pipe, without a length, with ${what}`, async () => {
      await using doubles = await startDoubles({ tls });
      const url = doubles.system.url + viaWolf("/api/v1/unpair/client");
      const body = JSON.stringify({ client_id: "nobody" });
      const args = [...flags(doubles), ...AUTH, ...REPORT, "-T", "-", "-X", "POST", url];
      const { stdout, stderr } = await curl(args, body);
      assert.equal(stderr, "");
      assert.equal(doubles.wolf.requests.find(({ method }) => method === "POST")?.body, body);
      assert.match(stdout, new RegExp(`\\n${version} (404|500) 1$`)); // Wolf's own response
    });
  }

  for (const { what, tls, flags, version } of WAYS) {
    it(`GETs Wolf's apps with ${what}`, async () => {
      await using doubles = await startDoubles({ tls });
      const url = doubles.system.url + viaWolf("/api/v1/apps");
      const { code, stdout, stderr } = await curl([...flags(doubles), ...AUTH, ...REPORT, url]);
      const [body = "", report] = stdout.split("\n");
      assert.deepEqual([code, stderr, report], [0, "", `${version} 200 1`]);
      assert.equal((JSON.parse(body) as { success: boolean }).success, true);
    });

    it(`shows our refusal, and fails, with ${what}`, async () => {
      await using doubles = await startDoubles({ tls });
      const url = doubles.system.url + viaWolf("/api/v1/apps");
      const { code, stdout } = await curl([...flags(doubles), "--fail-with-body", ...REPORT, url]);
      assert.equal(code, 22);
      assert.match(stdout, new RegExp(`"code":"unauthenticated".*\\n${version} 401 1$`));
    });

    it(`reports a body that breaks off with ${what}`, async () => {
      const target = await startRawTarget(({ socket }) => {
        socket.write("HTTP/1.0 200 OK\r\n\r\nthe first part", () => socket.resetAndDestroy());
      });
      await using system = await startSystem({ tls, target });
      const url = system.url + via("/");
      const { code } = await curl([...flags({ system }), ...AUTH, "-o", "/dev/null", url]);
      assert.notEqual(code, 0);
    });
  }

  it("keeps its connection for a second request", async () => {
    await using doubles = await startDoubles({});
    const url = doubles.system.url + viaMoonlight("/config.js");
    const { stdout } = await curl([
      ...AUTH,
      "-w",
      "%{num_connects}\n",
      "-o",
      "/dev/null",
      url,
      "-o",
      "/dev/null",
      url,
    ]);
    assert.equal(stdout, "1\n0\n");
  });

  it("refuses a certificate that it has no authority for", async () => {
    await using doubles = await startDoubles({ tls: true });
    const { code } = await curl([...AUTH, doubles.system.url + viaWolf("/api/v1/apps")]);
    assert.equal(code, 60);
  });
});

describe("curl on the forward proxy", { skip: missing("curl") }, () => {
  const url = `http://wolf.${WOLF_RUNNER}/api/v1/apps?x=1`;

  for (const tls of [false, true]) {
    const on = tls ? "an https proxy" : "an http proxy";
    const proxy = ({ system }: DoubleSystem): string[] => [
      "-x",
      system.url,
      ...(system.caFile === undefined ? [] : ["--proxy-cacert", system.caFile]),
    ];

    it(`tunnels with -p through ${on}`, async () => {
      await using doubles = await startDoubles({ tls });
      const { code, stdout, stderr } = await curl(["-p", ...proxy(doubles), ...PROXY_AUTH, ...REPORT, url]);
      // The response is Wolf's own, HTTP/1.0 and all.
      assert.deepEqual([code, stderr, stdout.split("\n")[1]], [0, "", "1 200 1"]);
      const seen = doubles.wolf.requests.find(({ path }) => path === "/api/v1/apps");
      assert.deepEqual([seen?.path, seen?.query], ["/api/v1/apps", "x=1"]);
      assert.equal(seen?.headers.has("proxy-authorization"), false);
    });

    it(`uses the absolute form without -p through ${on}`, async () => {
      await using doubles = await startDoubles({ tls });
      const { code, stdout, stderr } = await curl([...proxy(doubles), ...PROXY_AUTH, ...REPORT, url]);
      assert.deepEqual([code, stderr, stdout.split("\n")[1]], [0, "", "1.1 200 1"]);
      const seen = doubles.wolf.requests.find(({ path }) => path === "/api/v1/apps");
      assert.deepEqual([seen?.path, seen?.query], ["/api/v1/apps", "x=1"]);
      assert.equal(seen?.headers.has("proxy-authorization"), false);
    });

    it(`authenticates with a password, as -U sends it, through ${on}`, async () => {
      await using doubles = await startDoubles({ tls });
      for (const tunnel of [["-p"], []]) {
        const args = [...tunnel, ...proxy(doubles), "-U", `anyone:${ADMIN_TOKEN}`, "-o", "/dev/null"];
        const { stdout } = await curl([...args, "-w", "%{http_code}", url]);
        assert.equal(stdout, "200");
      }
    });

    it(`gets 407, also when it negotiates, through ${on}`, async () => {
      await using doubles = await startDoubles({ tls });
      const anyAuth = ["--proxy-anyauth", "-U", `anyone:${ADMIN_TOKEN}`];
      const report = ["-o", "/dev/null", "-w", "%{http_connect} %{http_code}"];
      const refused = await curl(["-p", ...proxy(doubles), ...report, url]);
      assert.equal(refused.stdout, "407 000");
      const absolute = await curl([...proxy(doubles), ...report, url]);
      assert.equal(absolute.stdout, "000 407");
      const negotiated = await curl(["-p", ...proxy(doubles), ...anyAuth, ...report, url]);
      assert.equal(negotiated.stdout, "200 200");
    });

    it(`speaks HTTP/2 inside a tunnel through ${on}`, async () => {
      // A second control plane as the target: the tunnel carries whatever the two ends speak.
      await using doubles = await startDoubles({ tls });
      await doubles.system.addAgent({ "cp-1": { http: `127.0.0.1:${doubles.system.controlPlane.port}` } });
      const inner = ["--http2-prior-knowledge", "http://http.cp-1/healthz"];
      const { stdout } = await curl(["-p", ...proxy(doubles), ...PROXY_AUTH, ...REPORT, ...inner]);
      assert.equal(stdout, "ok\n\n2 200 1");
    });
  }
});
