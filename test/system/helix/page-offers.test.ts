import assert from "node:assert/strict";
import { cpSync } from "node:fs";
import { afterEach, describe, it } from "node:test";
import type { ControlPlaneOptions } from "../../../src/control/control-plane.ts";
import { helix } from "../../../src/helix/helix.ts";
import { api } from "../../support/api.ts";
import { errorCode, openCaller } from "../../support/callers.ts";
import { call } from "../../support/http.ts";
import type { HttpResponse } from "../../support/http.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { startSuccessor } from "../../support/successor.ts";
import { startSystem } from "../../support/system.ts";
import { tempPath } from "../../support/temp.ts";
import { SECRET } from "./moonlight-stand.ts";
import { startPage } from "./page-stand.ts";
import type { PageStand, Seen, Served } from "./page-stand.ts";
import type { SessionView } from "./sessions-stand.ts";

afterEach(() => assertNothingOpen());

const WEBRTC = "/api/host/stream/webrtc";

/** Version 3: an offer is a POST, and makes a resource with an id. */
function startOffers(controlPlane: ControlPlaneOptions = {}): Promise<PageStand> {
  let id = 41;
  return startPage({
    controlPlane,
    helix: { moonlightUserHeader: "X-Forwarded-User" },
    serve: ({ method, url }: Seen): Served => {
      if (method === "OPTIONS")
        return { headers: { link: '<stun:stun.example>; rel="ice-server"' }, body: "" };
      if (method === "PATCH") return { status: 204 };
      if (method !== "POST" || url !== WEBRTC) return { body: "" };
      id += 1;
      return {
        status: 201,
        headers: { location: `${WEBRTC}/${id}`, "content-type": "application/sdp" },
        body: "v=0",
      };
    },
  });
}

interface Asked {
  token?: string;
  body?: string;
  type?: string;
}

async function ask(
  { url, alice }: PageStand,
  method: string,
  path: string,
  { token = alice, body, type = "application/sdp" }: Asked = {},
): Promise<HttpResponse> {
  return call(`${url}${path}`, {
    method,
    token: null,
    headers: {
      cookie: `access_token=${token}`,
      origin: url,
      ...(body !== undefined && { "content-type": type }),
    },
    ...(body !== undefined && { body }),
  });
}

function pageOf({ id }: SessionView): string {
  return `/moonlight/s/${id}`;
}

/** @returns address of the stream, as the page gets it */
async function offer(stand: PageStand, session: SessionView, token?: string): Promise<string> {
  const path = `${pageOf(session)}${WEBRTC}`;
  const made = await ask(stand, "POST", path, { body: "offer", ...(token !== undefined && { token }) });
  assert.deepEqual([made.status, made.body], [201, "v=0"]);
  return made.headers.location ?? assert.fail("no Location");
}

describe("Streams that Moonlight Web's page opens by an offer over HTTP", () => {
  it("have an address below the page, for their own session only", async () => {
    await using stand = await startOffers();
    const { bob, page, seen, session } = stand;
    const options = await ask(stand, "OPTIONS", `${page}${WEBRTC}`);
    assert.deepEqual(
      [options.status, options.headers["link"]],
      [200, '<stun:stun.example>; rel="ice-server"'],
    );
    const location = await offer(stand, session);
    assert.equal(location, `${page}${WEBRTC}/42`);
    const posted = seen.all.find(({ method }) => method === "POST");
    assert.deepEqual([posted?.body, posted?.headers["content-type"]], ["offer", "application/sdp"]);
    assert.equal(posted?.headers.authorization, `Bearer ${SECRET}`);
    assert.equal(posted.headers["x-forwarded-user"], "alice");

    const [mine, bobs] = [await stand.another(), await stand.another(bob)];
    const others = `${pageOf(bobs)}${WEBRTC}/42`;
    const count = seen.length;
    for (const [path, token, status] of [
      [others, bob, 404],
      [`${pageOf(mine)}${WEBRTC}/42`, stand.alice, 404],
      [location, bob, 404],
      [`${page}${WEBRTC}/43`, stand.alice, 404],
    ] as const) {
      for (const method of ["PATCH", "DELETE"]) {
        assert.equal(
          (await ask(stand, method, path, { token, body: "x" })).status,
          status,
          `${method} ${path}`,
        );
      }
    }
    assert.equal(seen.length, count, "Moonlight has heard of none");
    const patch = { body: "a=candidate:1", type: "application/trickle-ice-sdpfrag" };
    assert.equal((await ask(stand, "PATCH", location, patch)).status, 204);
    assert.equal((await ask(stand, "DELETE", location)).status, 200);
    assert.equal((await ask(stand, "PATCH", location, patch)).status, 404, "it has ended");
  });

  it("end at Moonlight with the credential, and with the session", async () => {
    await using stand = await startOffers();
    const { seen, session, url } = stand;
    const second = await stand.another();
    await offer(stand, session);
    await offer(stand, second);
    assert.equal((await api(url, "DELETE", `/api/v1/sessions/${session.id}`)).status, 204);
    const isEnd = (id: number) => (one: Seen) => one.method === "DELETE" && one.url === `${WEBRTC}/${id}`;
    const ended = await seen.find(isEnd(42), "the end of the session's stream");
    assert.equal(ended.headers.authorization, `Bearer ${SECRET}`);
    assert.equal(ended.headers["x-forwarded-user"], "alice", "who has made it");
    assert.ok(!seen.all.some(isEnd(43)));
    assert.equal((await api(url, "DELETE", "/api/v1/tokens/alice")).status, 204);
    await seen.find(isEnd(43), "the end of the credential's stream");
  });

  for (const hasSuccessor of [false, true]) {
    it(`end at Moonlight with the control plane, ${hasSuccessor ? "which hands over" : "which stops"}`, async () => {
      await using stand = await startOffers();
      const { seen, session, sessions } = stand;
      const { controlPlane } = sessions.system;
      await offer(stand, session);
      await using _successor = hasSuccessor ? await startSuccessor(controlPlane.listenFd()) : undefined;
      await controlPlane.close({ successor: hasSuccessor });
      await seen.find(
        ({ method, url }) => method === "DELETE" && url === `${WEBRTC}/42`,
        "the end of the stream",
      );
    });
  }

  it("end at Moonlight when it connects again, where their control plane was killed", async () => {
    const directory = tempPath();
    const copy = tempPath();
    await using stand = await startOffers({ dataDirectory: directory });
    await offer(stand, stand.session);
    cpSync(directory, copy, { recursive: true }); // as a kill would leave it
    const extensions = [helix({ moonlightCredentials: SECRET })];
    await using next = await startSystem({
      agents: 0,
      controlPlane: { dataDirectory: copy, extensions },
    });
    await next.addAgent({ "moonlight-a": { moonlight: stand.moonlight } });
    const isEnd = ({ method, url }: Seen): boolean => method === "DELETE" && url === `${WEBRTC}/42`;
    const { headers } = await stand.seen.find(isEnd, "the end of the stream");
    assert.deepEqual([headers.authorization, headers["x-forwarded-user"]], [`Bearer ${SECRET}`, "alice"]);
  });

  it("come no faster than WebSockets, unless Moonlight refuses them", async () => {
    let status = 500;
    await using stand = await startPage({
      serve: () => ({ status, headers: { location: `${WEBRTC}/1` }, body: "" }),
    });
    const { alice, page, sessions, url } = stand;
    await using caller = await openCaller("HTTP/1.1", sessions.system);
    const headers = { authorization: undefined, cookie: `access_token=${alice}`, origin: url };
    const post = () => caller.call({ method: "POST", path: `${page}${WEBRTC}`, headers, body: "offer" });
    assert.equal((await post()).status, 500);
    status = 201;
    assert.equal((await post()).status, 201);
    const refused = await post();
    assert.deepEqual([refused.status, errorCode(refused.text)], [429, "rate_limited"]);
    assert.ok(Number(refused.headers["retry-after"]) > 0);
  });
});
