import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { errorCode, openCaller, PLAINTEXT_CALLERS } from "../../support/callers.ts";
import { ending, next, within } from "../../support/events.ts";
import { call, errorCode as codeOf } from "../../support/http.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { ADMIN_TOKEN } from "../../support/system.ts";
import { SECRET, startMoonlight } from "./moonlight-stand.ts";
import { newSession, startSessions } from "./sessions-stand.ts";

afterEach(() => assertNothingOpen());

for (const kind of PLAINTEXT_CALLERS) {
  describe(`Moonlight over ${kind}`, () => {
    it("receives its own credentials and none of the caller's, and the caller none of Moonlight's", async () => {
      await using stand = await startMoonlight();
      const { alice, session, sessions } = stand;
      await using caller = await openCaller(kind, sessions.system);
      const id = session.id;
      const bearer = { authorization: `Bearer ${alice}` };
      for (const [headers, query] of [
        [
          { ...bearer, "x-api-key": alice, cookie: `access_token=${alice}; theme=dark` },
          `access_token=${alice}`,
        ],
        [{ authorization: undefined, "x-api-key": alice }, "a=1"],
        [
          { authorization: undefined, cookie: `theme=dark; access_token=${alice}` },
          `access%5Ftoken=${alice}&a=1`,
        ],
        [{ ...bearer, "proxy-authorization": bearer.authorization }, `a=1&session_id=${id}`],
      ] as const) {
        const path = `/moonlight/api/apps?host_id=0&session_id=agent-${id}-7&${query}`;
        const response = await caller.call({ path, headers });
        assert.equal(response.status, 200, response.text);
        assert.match(response.text, /Sway Desktop/);
        assert.ok(!JSON.stringify(response.headers).includes(SECRET) && !response.text.includes(SECRET));
      }
      const seen = stand.tap.toService().toString("latin1");
      for (const secret of [alice, "theme=dark", "session_id", "access_token", "access%5Ftoken"]) {
        assert.ok(!seen.includes(secret), `Moonlight has not seen ${secret}`);
      }
      assert.deepEqual(
        stand.moonlight.requests.map(({ url, headers }) => [url, headers.authorization]),
        ["host_id=0", "host_id=0&a=1", "host_id=0&a=1", "host_id=0&a=1"].map((query) => [
          `/api/apps?${query}`,
          `Bearer ${SECRET}`,
        ]),
      );
    });

    it("is found with and without /api, with every method, status and body, by an admin", async () => {
      await using stand = await startMoonlight();
      const { session, sessions, moonlight } = stand;
      await using caller = await openCaller(kind, sessions.system);
      const ask = async (method: string, path: string, body?: string) => {
        const mark = path.includes("?") ? "&" : "?";
        const response = await caller.call({
          method,
          path: `${path}${mark}session_id=${session.id}`,
          headers: { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": "application/json" },
          ...(body !== undefined && { body }),
        });
        return [response.status, moonlight.requests.at(-1)?.url];
      };
      assert.deepEqual(await ask("GET", "/moonlight/api/hosts"), [200, "/api/hosts"]);
      assert.deepEqual(await ask("GET", "/moonlight/hosts"), [200, "/api/hosts"]);
      assert.deepEqual(await ask("GET", "/moonlight/api"), [404, "/api"]);
      assert.deepEqual(await ask("GET", "/moonlight/apiary"), [404, "/api/apiary"]);
      assert.deepEqual(await ask("GET", "/moonlight"), [200, "/"]);
      assert.deepEqual(await ask("PUT", "/moonlight/api/host", '{"address":"10.0.0.9"}'), [200, "/api/host"]);
      assert.equal(moonlight.state.hosts.at(-1)?.address, "10.0.0.9");
      assert.deepEqual(await ask("DELETE", "/moonlight/host?host_id=2"), [200, "/api/host?host_id=2"]);
      assert.deepEqual(await ask("POST", "/moonlight/api/pair", '{"host_id":0}'), [304, "/api/pair"]);
    });

    it("serves its page and the page's files at the session's link", async () => {
      await using stand = await startMoonlight();
      const { alice, session, sessions, moonlight } = stand;
      await using caller = await openCaller(kind, sessions.system);
      const headers = { authorization: undefined, cookie: `access_token=${alice}` };
      const page = await caller.call({ path: session.links["moonlight"] ?? "", headers });
      assert.equal(page.status, 200);
      assert.match(page.text, /<title>Moonlight Web/);
      const config = await caller.call({ path: `/moonlight/config.js?session_id=${session.id}`, headers });
      assert.equal(config.status, 200);
      assert.match(config.text, /path_prefix/);
      assert.deepEqual(
        moonlight.requests.map(({ url }) => url),
        ["/", "/config.js"],
      );
    });

    it("lets a user view, but not read or change what all users of the instance share", async () => {
      await using stand = await startMoonlight();
      const { bob, sessions, moonlight, tap } = stand;
      await using caller = await openCaller(kind, sessions.system);
      const mine = await newSession(stand.url, {}, bob);
      assert.equal(mine.wolf_instance_id, stand.session.wolf_instance_id);
      const ask = (method: string, path: string, body?: string) =>
        caller.call({
          method,
          path: `/moonlight${path}${path.includes("?") ? "&" : "?"}session_id=${mine.id}`,
          headers: { authorization: `Bearer ${bob}` },
          ...(body !== undefined && { body }),
        });
      const hosts = structuredClone(moonlight.state.hosts);
      for (const [method, path, body] of [
        ["GET", "/api/sessions"],
        ["GET", "/sessions"],
        ["GET", "/api/admin/status"],
        ["GET", "/api/host?host_id=0"],
        ["PUT", "/api/host", '{"address":"169.254.169.254"}'],
        ["PUT", "/host", '{"address":"169.254.169.254"}'],
        ["DELETE", "/api/host?host_id=0"],
        ["POST", "/api/host/cancel", '{"host_id":0}'],
        ["POST", "/api/host/wake", '{"host_id":0}'],
        ["POST", "/api/pair", '{"host_id":1}'],
        ["POST", "/api/apps", "{}"],
        ["GET", "/x.js/../api/sessions"],
        ["GET", "//api/sessions"],
        ["GET", "/%61pi/sessions.js"],
      ] as const) {
        const response = await ask(method, path, body);
        assert.deepEqual(
          [response.status, errorCode(response.text)],
          [403, "not_allowed"],
          `${method} ${path}`,
        );
      }
      assert.equal(tap.connections, 0, "Moonlight has heard of none");
      assert.deepEqual(moonlight.state.hosts, hosts);
      for (const path of [
        "/api/authenticate",
        "/hosts",
        "/apps?host_id=0",
        "/app/image?host_id=0&app_id=134906179",
      ]) {
        assert.equal((await ask("GET", path)).status, 200, path);
      }
    });

    it("streams each value of a pairing as it arrives", async () => {
      await using stand = await startMoonlight();
      const { session, sessions, moonlight } = stand;
      await using caller = await openCaller(kind, sessions.system);
      const body = '{"host_id":1}';
      const pairing = caller.open({
        method: "POST",
        path: `/moonlight/api/pair?session_id=${session.id}`,
        headers: {
          authorization: `Bearer ${ADMIN_TOKEN}`,
          "content-type": "application/json",
          "content-length": body.length,
        },
      });
      pairing.request.end(body);
      const response = await within(pairing.response, "the header");
      assert.equal(response.headers["content-type"], "application/x-ndjson");
      const [pin] = await next<[Buffer]>(response.body, "data");
      assert.equal(pin.toString(), '{"Pin":"1234"}');
      const rest = ending(response.body);
      assert.equal(moonlight.finishPairings("paired"), 1, "the second line did not exist before");
      const { kind: how, data } = await rest;
      assert.equal(how, "end");
      assert.match(data.toString(), /^\n\{"Paired":\{"host_id":1,.*\}\}$/);
    });

    it("is refused to others: missing, foreign and unknown sessions, and no token", async () => {
      await using stand = await startMoonlight();
      const { alice, bob, session, sessions, tap } = stand;
      await using caller = await openCaller(kind, sessions.system);
      for (const [query, token, status, code] of [
        ["", alice, 400, "bad_request"],
        ["?session_id=", alice, 400, "bad_request"],
        [`?session_id=${session.id}`, undefined, 401, "unauthenticated"],
        [`?session_id=${session.id}&access_token=${alice}`, undefined, 401, "unauthenticated"],
        [`?session_id=${session.id}`, bob, 404, "session_unknown"],
        [`?session_id=agent-${session.id}-1`, bob, 404, "session_unknown"],
        ["?session_id=ses_unknown", alice, 404, "session_unknown"],
        ["?session_id=../../etc", alice, 404, "session_unknown"],
        [`?session_id=${session.id.toUpperCase()}`, alice, 404, "session_unknown"],
      ] as const) {
        const authorization = token === undefined ? undefined : `Bearer ${token}`;
        const response = await caller.call({
          path: `/moonlight/api/hosts${query}`,
          headers: { authorization },
        });
        assert.deepEqual([response.status, errorCode(response.text)], [status, code], query);
      }
      assert.equal(tap.connections, 0, "Moonlight has heard of none");
    });
  });
}

describe("Moonlight without configured credentials", () => {
  it("is not found, for any caller", async () => {
    await using stand = await startSessions();
    const session = await newSession(stand.url);
    const response = await call(`${stand.url}/moonlight/api/hosts?session_id=${session.id}`);
    assert.deepEqual([response.status, codeOf(response)], [404, "not_found"]);
    assert.ok(!response.body.includes(ADMIN_TOKEN));
  });
});
