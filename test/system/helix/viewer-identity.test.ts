/** Who a viewer is to Moonlight Web: nothing that a caller writes decides it, and what the operator names is ours to write. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { helix } from "../../../src/helix/helix.ts";
import { openCaller, PLAINTEXT_CALLERS } from "../../support/callers.ts";
import { issueToken } from "../../support/api.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { openSocket, SECRET, SOCKET_KINDS, startMoonlight } from "./moonlight-stand.ts";

afterEach(() => assertNothingOpen());

/** Fields by which servers behind a proxy know a user; with `_` in place of `-` too, which CGI and WSGI do not tell apart. */
const IDENTITY_FIELDS: readonly string[] = [
  "remote-user",
  "remote-groups",
  "remote-email",
  "x-remote-user",
  "x-remote-group",
  "x-remote-extra-scopes",
  "x-forwarded-user",
  "x-forwarded-email",
  "x-forwarded-groups",
  "x-forwarded-preferred-username",
  "x-forwarded-access-token",
  "x-auth-request-user",
  "x-auth-request-email",
  "x-auth-request-access-token",
  "x-auth-user",
  "x-authenticated-user",
  "x-authenticated-userid",
  "x-authentik-username",
  "x-webauth-user",
  "x-webauth-role",
  "x-user",
  "x-user-id",
  "x-username",
  "x-email",
  "x-consumer-username",
  "x-credential-identifier",
  "x-goog-authenticated-user-email",
  "x-goog-iap-jwt-assertion",
  "x-ms-client-principal-name",
  "x-amzn-oidc-identity",
  "x-jwt-assertion",
  "x-id-token",
  "x-pomerium-jwt-assertion",
  "x-vouch-user",
  "x-proxy-user",
  "cf-access-authenticated-user-email",
  "tailscale-user-login",
  "oidc-claim-sub",
  "mellon-name-id",
  "shib-user",
  "eppn",
  "sm-user",
  "iv-user",
  "impersonate-user",
  "http-remote-user",
  "auth-user",
  "auth-type",
  "ssl-client-cert",
  "ssl-client-s-dn",
  "ssl-client-verify",
  "x-ssl-client-cert",
  "x-ssl-client-dn",
  "x-client-cert",
  "x-client-dn",
  "client-cert",
  "client-cert-chain",
  "any-name-of-the-operator",
];

function forged(): Record<string, string> {
  const names = IDENTITY_FIELDS.flatMap((name) => [name, name.replaceAll("-", "_")]);
  return Object.fromEntries(names.map((name) => [name, "root"]));
}

for (const [index, kind] of PLAINTEXT_CALLERS.entries()) {
  describe(`a viewer over ${kind}`, () => {
    it("reaches Moonlight Web as nobody of the caller's choice, and with what a page sends", async () => {
      await using stand = await startMoonlight();
      const { session, sessions, alice, moonlight, path } = stand;
      await using caller = await openCaller(kind, sessions.system);
      const headers = {
        ...forged(),
        authorization: `Bearer ${alice}`,
        "accept-language": "de",
        range: "bytes=0-",
      };
      const query = `session_id=${session.id}`;
      const { status } = await caller.call({ path: `/moonlight/api/apps?host_id=0&${query}`, headers });
      assert.equal(status, 200);
      await using _socket = await openSocket(SOCKET_KINDS[index] ?? "RFC 8441", stand.url, path, { headers });
      const seen = moonlight.requests;
      assert.deepEqual(
        seen.map(({ url }) => url.split("?", 1)[0]),
        ["/api/apps", "/api/host/stream"],
      );
      for (const request of seen) {
        assert.ok(!JSON.stringify(request.headers).includes("root"), JSON.stringify(request.headers));
        assert.equal(request.headers.authorization, `Bearer ${SECRET}`);
        assert.equal(request.headers["accept-language"], "de");
        assert.equal(request.headers["x-forwarded-for"], "127.0.0.1");
      }
    });

    it("has the own name in the field that the operator has chosen, as an admin has", async () => {
      for (const name of ["X-Forwarded-User", "Any_Name-of-the-Operator"]) {
        await using stand = await startMoonlight({ helix: { moonlightUserHeader: name } });
        const { session, sessions, moonlight, url } = stand;
        const laptop = await issueToken(url, { id: "laptop", kind: "user", owner: "alice" });
        await using caller = await openCaller(kind, sessions.system);
        const path = `/moonlight/api/apps?host_id=0&session_id=${session.id}`;
        for (const token of [stand.alice, laptop, undefined]) {
          const headers = {
            ...forged(),
            [name]: "root",
            ...(token !== undefined && { authorization: `Bearer ${token}` }),
          };
          assert.equal((await caller.call({ path, headers })).status, 200);
        }
        const headers = { ...forged(), [name]: "root" };
        const options = { token: laptop, headers };
        await using _socket = await openSocket(SOCKET_KINDS[index] ?? "RFC 8441", url, stand.path, options);
        assert.deepEqual(
          moonlight.requests.map(({ headers: fields }) => fields[name.toLowerCase()]),
          ["alice", "alice", "admin", "alice"],
        );
        assert.ok(!moonlight.requests.some(({ headers: fields }) => JSON.stringify(fields).includes("root")));
      }
    });
  });
}

describe("a target that is no Moonlight Web", () => {
  it("gets such fields as the caller has sent them, but those that say who has forwarded the request", async () => {
    await using stand = await startMoonlight();
    const { sessions, moonlight } = stand;
    await using caller = await openCaller("HTTP/1.1", sessions.system);
    const headers = { "remote-user": "alice", "x-webauth-user": "alice", "x-forwarded-user": "alice" };
    await caller.call({ path: "/api/v1/runners/moonlight-a/targets/moonlight/", headers });
    const [request] = moonlight.requests;
    assert.equal(request?.headers["remote-user"], "alice");
    assert.equal(request.headers["x-webauth-user"], "alice");
    assert.equal(request.headers["x-forwarded-user"], undefined);
  });
});

it("a name that has another meaning is refused at the start", () => {
  assert.throws(() => helix({ moonlightUserHeader: "Authorization" }), { code: "config_invalid" });
});
