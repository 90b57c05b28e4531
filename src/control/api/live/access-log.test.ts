import { getRequestListener } from "@hono/node-server";
import { OpenAPIHono } from "@hono/zod-openapi";
import assert from "node:assert/strict";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, it } from "node:test";
import { eventually, next } from "../../../../test/support/events.ts";
import { assertNothingOpen } from "../../../../test/support/nothing-open.ts";
import { lines as linesOf } from "../../../clients/http/lines.ts";
import { silentLogger } from "../../../wire/log.ts";
import { ActiveStreams } from "../../auth/active-streams.ts";
import { createIdentity } from "../../auth/identity.ts";
import type { Identity } from "../../auth/identity.ts";
import { InFlight } from "../../in-flight/in-flight.ts";
import { AccessLog } from "../../records/access-log.ts";
import { RequestRecord } from "../../records/request-record.ts";
import { createFairShares } from "../../shares/fair-shares.ts";
import type { AppContext, AppEnv } from "../context.ts";
import { accessFilter } from "./access-filter.ts";
import type { AccessQuery } from "./access-filter.ts";
import { accessLogRoutes } from "./access-log.ts";

afterEach(() => assertNothingOpen());

const admin = createIdentity("root", "hash", { kind: "admin", runners: ["*"] });
const alice = createIdentity("alice-laptop", "hash", { kind: "user", runners: [], owner: "alice" });

function record(fields: Partial<RequestRecord> = {}): RequestRecord {
  return Object.assign(new RequestRecord("id-1", "route"), { code: "ok", ...fields });
}

describe("a filter of the access log", () => {
  const failed = record({
    runner: "gpu-1",
    target: "web",
    status: 502,
    requester: { id: "ci", owner: "bob" },
  });
  const matches = (query: AccessQuery, identity: Identity = admin): boolean =>
    accessFilter(identity, query)(failed);

  it("takes patterns of names, statuses and classes of them", () => {
    for (const query of [
      {},
      { runner: "gpu-*", target: "w*b", credential: "ci" },
      { status: "5xx" },
      { status: "404,502" },
    ])
      assert.ok(matches(query), JSON.stringify(query));
    for (const query of [{ runner: "gpu" }, { target: "x*" }, { credential: "c" }, { status: "4xx,500" }])
      assert.ok(!matches(query), JSON.stringify(query));
  });

  it("of a name or a status takes no request that has none", () => {
    const bare = record();
    for (const query of [{ runner: "*" }, { target: "*" }, { credential: "*" }, { status: "2xx" }])
      assert.ok(!accessFilter(admin, query)(bare), JSON.stringify(query));
  });

  it("gives a user the user's own requests, by any credential, and no others", () => {
    assert.ok(!matches({}, alice));
    assert.ok(accessFilter(alice, {})(record({ requester: { id: "alice-phone", owner: "alice" } })));
    assert.ok(!accessFilter(alice, {})(record()));
    const nobody = createIdentity("r", "hash", { kind: "runner", runners: ["*"] });
    assert.ok(!accessFilter(nobody, {})(record({ requester: { id: "root", owner: undefined } })));
  });
});

it("a reader that stops gets the lines before and their missing number, and holds up none else", async () => {
  const [accessLog, activeStreams] = [new AccessLog(undefined, silentLogger), new ActiveStreams()];
  const app = new OpenAPIHono<AppEnv>();
  app.use(async (c, following) => {
    c.set("identity", admin);
    await following();
  });
  const shares = createFairShares({}, { onRefused: () => {}, onStop: () => {} });
  const context = { accessLog, activeStreams, inFlight: new InFlight(), shares };
  app.route("/", accessLogRoutes(context as unknown as AppContext));
  const listener = getRequestListener(app.fetch, { overrideGlobalObjects: false });
  const server = http.createServer((request, response) => void listener(request, response));
  await next(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  const open = async (): Promise<http.IncomingMessage> => {
    const [response] = await next<[http.IncomingMessage]>(http.get({ port, agent: false }), "response");
    return response;
  };
  const [slow, fast] = [await open(), await open()];
  slow.pause();
  const read = count(fast);
  let ended = 0;
  // Far more than the kernel takes for a reader: lines of 2 kB.
  const path = `/${"x".repeat(2_000)}`;
  while (ended < 10_000) {
    for (let n = 0; n < 200; n += 1) accessLog.end(record({ path }));
    ended += 200;
    await eventually(() => read.lines + read.dropped >= ended, "what the other reads");
  }
  assert.equal(read.dropped, 0);
  const late = count(slow);
  accessLog.endReaders();
  await Promise.all([late.ended, read.ended]);
  assert.equal(late.lines + late.dropped, ended);
  assert.ok(late.dropped > 1_000 && late.lines > 100, `${late.lines} lines, ${late.dropped} dropped`);
  assert.equal(activeStreams.size, 0);
  const closed = next(server, "close");
  server.close();
  await closed;
});

interface Count {
  lines: number;
  dropped: number;
  ended: Promise<void>;
}

function count(response: http.IncomingMessage): Count {
  const result: Count = { lines: 0, dropped: 0, ended: Promise.resolve() };
  result.ended = (async () => {
    let type = "";
    for await (const line of linesOf(response, 10_000, "the access log")) {
      if (line.startsWith("event:")) type = line.slice("event: ".length);
      else if (line.startsWith("data:") && type === "line") result.lines += 1;
      else if (line.startsWith("data:"))
        result.dropped += (JSON.parse(line.slice("data:".length)) as { lines: number }).lines;
    }
  })();
  return result;
}
