/** What both ends count, read as Prometheus does: by `GET /metrics` of a control plane, and of an agent through it. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { afterEach, describe, it } from "node:test";
import { hashToken } from "../../../src/control/auth/tokens.ts";
import { startAgent } from "../../support/commands.ts";
import { within } from "../../support/events.ts";
import { call, runnersUntil } from "../../support/http.ts";
import { scrape, scrapeUntil } from "../../support/metrics.ts";
import type { Series } from "../../support/metrics.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { RUNNER, startSystem, TARGET } from "../../support/system.ts";
import type { System } from "../../support/system.ts";
import { refusingAddress, startHttpTarget, startTarget } from "../../support/target.ts";

afterEach(() => assertNothingOpen());

const ofControlPlane = (system: System): string => `${system.url}/metrics`;
const ofAgent = (system: System): string => `${system.url}/api/v1/runners/${RUNNER}/metrics`;

const LABELS = `runner="${RUNNER}",target="${TARGET}"`;

describe("metrics of requests", () => {
  it("name the target, the outcome and the bytes, and the target's health by what was last seen", async () => {
    await using system = await startSystem({
      target: await startHttpTarget((_request, response) => response.end("hello")),
      agent: { pingIntervalMs: 20 },
      controlPlane: { pingIntervalMs: 20 },
    });
    await system.addAgent({ "runner-9": { dead: await refusingAddress() } });
    const route = (runner: string, target: string): string =>
      `${system.url}/api/v1/runners/${runner}/targets/${target}/`;
    const sent = await call(route(RUNNER, TARGET), { method: "POST", body: "x".repeat(1_000) });
    assert.equal(sent.status, 200);
    assert.equal((await call(route("runner-9", "dead"))).status, 502);
    assert.equal((await call(route("runner-of-nobody", "web"))).status, 404);

    const down = 'turnabout_targets{state="down"}';
    const rtt = 'turnabout_tunnel_rtt_seconds_count{carrier="ptth"}';
    const control = await scrapeUntil(
      ofControlPlane(system),
      (series) => series.get(down) === 1 && (series.get(rtt) ?? 0) > 0,
      "the agent's report and a PING",
    );
    const read = (name: string, labels = LABELS): number | undefined => control.get(`${name}{${labels}}`);
    const dead = 'runner="runner-9",target="dead"';
    assert.equal(read("turnabout_target_requests_total", `${LABELS},code="ok",status="2xx"`), 1);
    assert.equal(read("turnabout_target_requests_total", `${dead},code="target_refused",status="5xx"`), 1);
    assert.equal(
      read(
        "turnabout_target_requests_total",
        'runner="other",target="other",code="runner_unknown",status="4xx"',
      ),
      1,
    );
    assert.equal(read("turnabout_target_request_bytes_total"), 1_000);
    assert.equal(read("turnabout_target_response_bytes_total"), Buffer.byteLength(sent.body));
    assert.equal(read("turnabout_target_request_duration_seconds_count"), 1);
    assert.equal(read("turnabout_target_first_byte_seconds_count"), 1);
    assert.equal(read("turnabout_request_duration_seconds_count", 'way="route"'), 3);
    assert.deepEqual([read("turnabout_target_up"), read("turnabout_target_up", dead)], [1, 0]);
    const failedAtS = read(
      "turnabout_target_last_failure_timestamp_seconds",
      `${dead},code="target_refused"`,
    );
    assert.ok(Math.abs((failedAtS ?? 0) - Date.now() / 1_000) < 60);

    const agent = await scrapeUntil(
      ofAgent(system),
      (series) => (series.get("turnabout_agent_rtt_seconds_count") ?? 0) > 0,
      "a PING of the agent",
    );
    assert.equal(agent.get(`turnabout_agent_target_up{${LABELS}}`), 1);
    assert.ok((agent.get("turnabout_agent_target_connect_seconds_count") ?? 0) >= 1);
    for (const bytes of [
      agent.get("turnabout_agent_tunnel_bytes_total"),
      read("turnabout_tunnel_bytes_total", 'carrier="ptth"'),
    ])
      assert.ok((bytes ?? 0) > 1_000);
  });
});

describe("metrics of runners", () => {
  it("tell one whose agent has shut down from one that was lost and did not come back", async () => {
    await using system = await startSystem({ agents: 0, controlPlane: { graceMs: 20 } });
    const event = (type: string): string => `turnabout_agent_events_total{event="${type}"}`;
    const counts = (series: Series): unknown[] =>
      ["left", "lost", "grace-expired"].map((type) => series.get(event(type)));
    const gone = 'turnabout_runners{state="gone"}';
    assert.deepEqual(counts(await scrape(ofControlPlane(system))), [0, 0, 0]);
    const orderly = await system.addAgent({ [RUNNER]: { [TARGET]: system.target.address } });
    await orderly.close();
    const left = await scrapeUntil(ofControlPlane(system), (series) => series.get(gone) === 1, "its end");
    assert.deepEqual(counts(left), [1, 0, 0]);

    const killed = startAgent(system.url, "runner-9", `${TARGET}=${system.target.address}`);
    await runnersUntil(
      system.url,
      (found) => found.some(({ id, state }) => id === "runner-9" && state === "connected"),
      "the other agent",
    );
    await killed.end("SIGKILL");
    const lost = await scrapeUntil(ofControlPlane(system), (series) => series.get(gone) === 2, "its end");
    assert.deepEqual(counts(lost), [1, 1, 1]);
  });
});

describe("metrics of credentials", () => {
  it("count each refusal once, by its reason", async () => {
    const expired = {
      id: "old",
      kind: "user" as const,
      runners: ["*"],
      sha256: hashToken("old"),
      expiresAtMs: 1,
    };
    const left = { id: "left", kind: "user" as const, runners: ["*"], sha256: hashToken("left") };
    const user = { id: "u", kind: "user" as const, runners: ["mine"], sha256: hashToken("good") };
    await using system = await startSystem({ controlPlane: { tokens: [expired, left, user] } });
    const path = `${system.url}/api/v1/runners/${RUNNER}/targets/${TARGET}/`;
    assert.equal((await call(`${system.url}/api/v1/tokens?owner=left`, { method: "DELETE" })).status, 200);
    for (const [refused, status] of [
      [null, 401],
      ["unknown", 401],
      ["old", 401],
      ["left", 401],
      ["good", 403],
    ] as const)
      assert.equal((await call(path, { token: refused })).status, status, String(refused));
    const cookie = await call(path, {
      token: null,
      method: "POST",
      headers: { cookie: "access_token=good", origin: "https://evil.example" },
    });
    assert.equal(cookie.status, 403);
    const metrics = await scrape(ofControlPlane(system));
    const reasons = ["missing", "unknown", "expired", "revoked", "not-allowed", "origin", "certificate"].map(
      (reason) => [reason, metrics.get(`turnabout_refused_credentials_total{reason="${reason}"}`)],
    );
    assert.deepEqual(Object.fromEntries(reasons), {
      missing: 1,
      unknown: 1,
      expired: 1,
      revoked: 1,
      "not-allowed": 1,
      origin: 1,
      certificate: 0,
    });
  });
});

describe("metrics of flow control", () => {
  it("count the streams that cannot send, at the end that wants to, by what they wait for", async () => {
    const bytes = Buffer.alloc(24 * 1024 * 1024); // more than the windows and what the system takes
    await using system = await startSystem({
      target: await startTarget((socket) => {
        socket.pause(); // reads nothing
        socket.write(bytes);
      }),
    });
    const { dial } = system.controlPlane;
    const toTarget = await dial(RUNNER, TARGET);
    toTarget.resume();
    const fromTarget = await dial(RUNNER, TARGET); // not read
    assert.equal(toTarget.write(bytes), false);
    for (const [url, series] of [
      [ofControlPlane(system), 'turnabout_stalled_streams{cause="stream_window"}'],
      [ofAgent(system), 'turnabout_agent_stalled_streams{cause="stream_window"}'],
    ] as const)
      await scrapeUntil(url, (metrics) => metrics.get(series) === 1, series);
    const ended = [toTarget, fromTarget].map(async (socket) => within(once(socket, "close"), "the end"));
    for (const socket of [toTarget, fromTarget]) socket.on("error", () => {}).destroy();
    await Promise.all(ended);
    for (const url of [ofControlPlane(system), ofAgent(system)]) {
      await scrapeUntil(
        url,
        (metrics) => [...metrics].every(([name, value]) => !name.includes("stalled") || value === 0),
        "nothing waits",
      );
    }
  });
});
