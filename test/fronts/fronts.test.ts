/** Turnabout behind each TLS terminator: what passes and what does not. The table in docs/deployment.md is generated from it. */
import assert from "node:assert/strict";
import { once } from "node:events";
import http2 from "node:http2";
import https from "node:https";
import type { IncomingMessage } from "node:http";
import { pipeline } from "node:stream/promises";
import { after, afterEach, describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { openCaller, via } from "../support/callers.ts";
import { ending, next, within } from "../support/events.ts";
import { call } from "../support/http.ts";
import { assertNothingOpen } from "../support/nothing-open.ts";
import { isInstalled } from "../support/parts.ts";
import { exchangeRaw } from "../support/raw-http.ts";
import { outcome, SMUGGLING } from "../support/smuggling.ts";
import { openWebSocket } from "../support/websockets.ts";
import { ADMIN_TOKEN, RUNNER, TARGET } from "../support/system.ts";
import type { AgentLifecycleEvent } from "../../src/agent/config.ts";
import type { FollowedAgent } from "../support/agents.ts";
import { KINDS } from "./proxies.ts";
import type { ProxyName } from "./proxies.ts";
import { bulk, BULK_BYTES, digest, LARGE_FIELD_BYTES } from "./service.ts";
import { startStand } from "./stand.ts";
import type { Stand } from "./stand.ts";
import { comparable, documented, Table } from "./table.ts";

const H1 = "HTTP/1.1 on TLS";
const H2 = "HTTP/2 on TLS";
const IDLE_S = 4;
const PASSED_THROUGH = "carrier `rh2`, TLS passed through";
/** A client at another address than the proxy. */
const CLIENT = "127.0.0.9";
const table = new Table();
const names = Object.keys(KINDS) as ProxyName[];
const present = names.filter((name) => isInstalled(KINDS[name].version[0]));

after(() => {
  if (present.length < names.length)
    return console.log("not every proxy is installed: the table is not compared");
  if (process.env["WRITE_TABLE"] !== undefined) return table.write();
  assert.equal(
    comparable(table.toString()),
    documented(),
    "docs/deployment.md: npm run fronts -- --write-table",
  );
});
afterEach(() => assertNothingOpen(10_000));

for (const name of names) {
  const skip = present.includes(name) ? false : `not installed: ${name}`;
  describe(`behind ${KINDS[name].title}`, { skip }, () => {
    it("agents connect by each carrier that passes", async () => {
      await using stand = await startStand(name);
      {
        await using agent = stand.agent();
        const { carrier, why } = await agent.connected();
        await serves(stand);
        console.log(`${KINDS[name].title}: auto took ${carrier}: ${why}`);
        table.put("agent, `auto`", name, `\`${carrier}\``);
      }
      for (const carrier of ["ptth", "websocket", "rh2", "h2"] as const) {
        await using agent = stand.agent({ carrier });
        table.put(`carrier \`${carrier}\``, name, await connects(agent, stand));
      }
      const { passthroughPort } = stand.proxy;
      if (passthroughPort === undefined) return table.put(PASSED_THROUGH, name, "–");
      await using agent = stand.agent({ carrier: "rh2" }, passthroughPort);
      table.put(PASSED_THROUGH, name, await connects(agent, stand));
    });

    it("callers are served", async () => {
      await using stand = await startStand(name);
      await using agent = stand.agent();
      await agent.connected();
      await serves(stand);

      for (const kind of [H1, H2] as const) {
        await using caller = await openCaller(kind, stand.endpoint);
        const short = kind === H1 ? "HTTP/1.1" : "HTTP/2";
        const runners = await caller.call({ path: "/api/v1/runners", bodyless: true });
        assert.equal(runners.status, 200);
        assert.match(runners.text, /"carrier":"ptth"/);
        table.put(`API over ${short}`, name, "yes");

        const head = await caller.call({ method: "HEAD", path: via("/download"), bodyless: true });
        assert.deepEqual(
          [head.status, head.headers["content-length"], head.text],
          [200, String(BULK_BYTES), ""],
        );
        table.put(`HEAD over ${short}`, name, "yes");

        for (const [path, status, code] of [
          [via("/", TARGET, "nobody"), 404, "runner_unknown"],
          ["/api/v1/no-such-route", 404, "not_found"],
          [via("/", "no-such-target"), 404, "target_unknown"],
        ] as const) {
          const response = await caller.call({ path, bodyless: true });
          assert.equal(response.status, status);
          assert.equal((JSON.parse(response.text) as { error: { code: string } }).error.code, code);
          assert.match(String(response.headers["proxy-status"]), new RegExp(`details="${code}"`));
        }
        table.put(`refusals as ours, over ${short}`, name, "yes");

        const large = { "x-large": "x".repeat(LARGE_FIELD_BYTES) };
        const response = await caller.call({ path: via("/large"), headers: large, bodyless: true });
        const passed =
          response.status === 200 && stand.service.heads.at(-1)?.["x-large"]?.length === LARGE_FIELD_BYTES;
        const back = response.headers["x-large"]?.length === LARGE_FIELD_BYTES;
        table.put(
          `header fields of 12 KiB, both ways, over ${short}`,
          name,
          passed && back ? "yes" : `no (${response.status})`,
        );

        const events = caller.open({ path: via("/events"), bodyless: true });
        if (kind === H1) (events.request as { end(): void }).end();
        const { body } = await within(events.response, "an event stream");
        let seen = "";
        for (const event of ["hello", "second", "third"]) {
          if (event !== "hello") stand.service.emit(event);
          while (!seen.includes(`data: ${event}\n\n`))
            seen += String((await next<[Buffer]>(body, "data"))[0]);
        }
        events.abort();
        table.put(`server-sent events, each before the next, over ${short}`, name, "yes");
      }
      table.put("`Expect: 100-continue`", name, await expectContinue(stand));
      table.put("CONNECT (forward proxy)", name, await connect(stand));
    });

    it("WebSockets pass", async () => {
      await using stand = await startStand(name);
      await using agent = stand.agent();
      await agent.connected();
      await serves(stand);
      {
        await using socket = await openWebSocket(H1, stand.endpoint, via("/"));
        socket.socket.send("hello");
        assert.equal(await socket.text(), "hello");
        table.put("WebSocket (RFC 6455)", name, "yes");
      }
      const session = http2.connect(`https://localhost:${stand.proxy.port}`, { ca: stand.pki.ca });
      session.on("error", () => {}); // permanently
      const [settings] = await next<[http2.Settings]>(session, "remoteSettings");
      session.destroy();
      if (settings.enableConnectProtocol !== true)
        return table.put("WebSocket over HTTP/2 (RFC 8441)", name, "not offered");
      await using socket = await openWebSocket(H2, stand.endpoint, via("/"));
      socket.socket.send("hello");
      assert.equal(await socket.text(), "hello");
      table.put("WebSocket over HTTP/2 (RFC 8441)", name, "yes");
    });

    it("300 MB pass, up and down", async () => {
      await using stand = await startStand(name);
      await using agent = stand.agent();
      await agent.connected();
      await serves(stand);
      const sent = await digest(bulk());
      const url = `https://localhost:${stand.proxy.port}${via("/upload")}`;
      const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, "content-length": BULK_BYTES };
      const upload = https.request(url, { agent: false, ca: stand.pki.ca, method: "POST", headers });
      const [[response]] = await Promise.all([
        once(upload, "response") as Promise<[IncomingMessage]>,
        pipeline(bulk(), upload),
      ]);
      assert.equal((await ending(response)).data.toString(), sent);
      await using caller = await openCaller(H2, stand.endpoint);
      const download = caller.open({ path: via("/download"), bodyless: true });
      const { body } = await within(download.response, "a download");
      assert.equal(await digest(body as AsyncIterable<Buffer>), sent);
      table.put("300 MB up and down", name, "yes");
    });

    it("the client is named by the proxy, not by the caller", async () => {
      await using stand = await startStand(name);
      await using agent = stand.agent();
      await agent.connected();
      await serves(stand);
      const spoof = {
        "x-forwarded-for": "6.6.6.6",
        "x-forwarded-proto": "gopher",
        "x-forwarded-host": "evil.example",
        "x-forwarded-prefix": "/evil",
        "x-real-ip": "6.6.6.6",
        forwarded: "for=6.6.6.6;host=evil.example",
      };
      const forwarded = (): unknown[] => {
        const seen = stand.service.heads.at(-1) ?? {};
        assert.doesNotMatch(JSON.stringify(seen), /6\.6\.6\.6|evil/);
        return [seen["x-forwarded-for"], seen["x-forwarded-proto"], seen["x-forwarded-host"]];
      };
      const { port, passthroughPort } = stand.proxy;
      for (const ask of [askHttp1, askHttp2]) {
        assert.equal(await ask(stand, port, spoof), 200);
        assert.deepEqual(forwarded(), [CLIENT, "https", `localhost:${port}`]);
      }
      table.put("client by `X-Forwarded-*`, the caller's own (and `-Prefix`) dropped", name, "yes");
      for (const ask of passthroughPort === undefined ? [] : [askHttp1, askHttp2]) {
        assert.equal(await ask(stand, passthroughPort ?? 0, spoof), 200);
        assert.deepEqual(forwarded(), [CLIENT, "https", `localhost:${passthroughPort}`]);
      }
      table.put("client by PROXY header, version 2", name, passthroughPort === undefined ? "–" : "yes");
    });

    it("an agent that is idle for longer than the proxy's time limits stays connected by its PINGs", async () => {
      const outcomes: string[] = [];
      for (const pingIntervalMs of [1_000, 60_000]) {
        await using stand = await startStand(name, { idleS: IDLE_S, pingIntervalMs });
        await using agent = stand.agent();
        await agent.connected();
        await stand.connected(2);
        // The only wait by the clock: the proxy's clock is tested.
        await delay(3 * IDLE_S * 1_000);
        outcomes.push(agent.events.all.some(({ type }) => type === "lost") ? "cut" : "kept");
        if (outcomes.at(-1) === "kept") await serves(stand);
      }
      table.put(
        `idle for three times ${IDLE_S} s of time limits, with PING and without`,
        name,
        outcomes.join(", "),
      );
      assert.equal(outcomes[0], "kept");
    });

    it("a reload under load", async () => {
      await using stand = await startStand(name);
      await using agent = stand.agent();
      await stand.connected(2);
      const failures: string[] = [];
      let isOver = false;
      let successes = 0;
      const load = async (): Promise<void> => {
        while (!isOver) {
          try {
            const { status } = await call(`https://localhost:${stand.proxy.port}${via("/")}`, {
              ca: stand.pki.ca,
            });
            if (status === 200) successes += 1;
            else failures.push(String(status));
          } catch (error) {
            failures.push((error as Error).message);
          }
        }
      };
      const workers = Array.from({ length: 4 }, load);
      const held = call(`https://localhost:${stand.proxy.port}${via("/held")}`, {
        ca: stand.pki.ca,
        timeoutMs: 60_000,
      }).then(
        ({ body }) => body,
        (error: Error) => error.message,
      );
      await delay(1_000);
      for (let i = 0; i < 3; i += 1) {
        await stand.proxy.reload();
        await delay(1_500);
      }
      const before = successes;
      while (successes < before + 20 && failures.length < 1_000) await delay(20);
      stand.service.release();
      const slow = await held;
      isOver = true;
      await Promise.all(workers);
      const cut = agent.events.all.filter(({ type }) => type === "lost").length;
      console.log(
        `${KINDS[name].title}: ${successes} succeeded, ${failures.length} failed (${[...new Set(failures)].join(", ")}), ${cut} agent connections lost, held: ${slow}`,
      );
      assert.ok(successes > 20);
      const short = failures.length === 0 ? "no request failed" : "requests under way failed";
      table.put(
        "three reloads under load, two connections",
        name,
        `${short}; agents ${cut === 0 ? "kept" : "cut, and back"}`,
      );
      table.put("a request that outlasts the reloads", name, slow === "released" ? "succeeds" : "fails");
    });

    if (name === "nginx" || name === "haproxy") {
      it("requests that two servers could read in two ways", async () => {
        await using stand = await startStand(name);
        await using agent = stand.agent();
        await agent.connected();
        await serves(stand);
        const wrong: string[] = [];
        for (const item of SMUGGLING) {
          const seen = await outcome(stand.proxy.port, item.bytes, stand.service.lines, stand.pki.ca);
          console.log(`${KINDS[name].title} | ${item.name} | ${seen}`);
          // Where both read two requests, both get a response; one that reaches the target and gets none was smuggled.
          const [statuses = "", lines = ""] = seen.split(" > ");
          const reached = lines === "" ? 0 : lines.split(",").length;
          assert.equal(statuses.split(",").filter((status) => status === "200").length, reached, item.name);
          if (seen !== item[name]) wrong.push(`${item.name}: ${seen}, not ${item[name]}`);
        }
        assert.deepEqual(wrong, []);
      });
    }
  });
}

async function serves(stand: Stand): Promise<void> {
  const url = `https://localhost:${stand.proxy.port}${via("/")}`;
  const { status } = await call(url, { ca: stand.pki.ca, headers: { prefer: "wait=20" }, timeoutMs: 30_000 });
  assert.equal(status, 200);
}

/** Whether the agent connects, or the error that it gets. */
async function connects(agent: FollowedAgent, stand: Stand): Promise<string> {
  const isDecided = ({ type }: AgentLifecycleEvent): boolean =>
    type === "connected" || type === "attempt-failed";
  const { type } = await agent.events.find(isDecided, "a first attempt", { timeoutMs: 30_000 });
  if (type !== "connected") return "no";
  await serves(stand);
  return "yes";
}

/** A request of {@link CLIENT}'s. @returns the status */
async function askHttp1(stand: Stand, port: number, headers: Record<string, string>): Promise<number> {
  const request = https.get({
    host: "localhost",
    port,
    path: via("/"),
    headers: { ...headers, authorization: `Bearer ${ADMIN_TOKEN}` },
    ca: stand.pki.ca,
    agent: false,
    localAddress: CLIENT,
  });
  const [response] = await next<[IncomingMessage]>(request, "response");
  await ending(response);
  return response.statusCode ?? 0;
}

async function askHttp2(stand: Stand, port: number, headers: Record<string, string>): Promise<number> {
  const options = { ca: stand.pki.ca, localAddress: CLIENT }; // accepted by tls.connect(), although its types lack it
  const session = http2.connect(`https://localhost:${port}`, options);
  session.on("error", () => {}); // permanently
  const stream = session.request({ ...headers, ":path": via("/"), authorization: `Bearer ${ADMIN_TOKEN}` });
  const [{ ":status": status }] = await next<[http2.IncomingHttpHeaders]>(stream, "response");
  await ending(stream);
  const closed = next(session, "close");
  session.destroy();
  await closed;
  return Number(status);
}

async function expectContinue(stand: Stand): Promise<string> {
  const url = `https://localhost:${stand.proxy.port}${via("/upload")}`;
  const headers = { authorization: `Bearer ${ADMIN_TOKEN}`, expect: "100-continue", "content-length": 5 };
  const request = https.request(url, { agent: false, ca: stand.pki.ca, method: "POST", headers });
  request.once("continue", () => request.end("hello"));
  request.flushHeaders();
  const [response] = await next<[IncomingMessage]>(request, "response");
  const { data } = await ending(response);
  assert.equal(response.statusCode, 200);
  assert.equal(data.length, 64);
  return "yes";
}

/** `CONNECT`, and a request of HTTP/1.0 inside it. */
async function connect(stand: Stand): Promise<string> {
  const fields = `Host: ${TARGET}.${RUNNER}:80\r\nProxy-Authorization: Bearer ${ADMIN_TOKEN}`;
  const bytes = `CONNECT ${TARGET}.${RUNNER}:80 HTTP/1.1\r\n${fields}\r\n\r\nGET / HTTP/1.0\r\n\r\n`;
  const { statuses } = await exchangeRaw(stand.proxy.port, bytes, { ca: stand.pki.ca });
  return statuses.join() === "200,200" ? "yes" : `no (${statuses[0] ?? "closed"})`;
}
