/** `turnabout diag`: what is in its archive, and that no secret is. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, describe, it } from "node:test";
import { hashToken } from "../../../src/control/auth/tokens.ts";
import { file } from "../../support/agents.ts";
import { CommandHost } from "../../support/command-host.ts";
import { startAgent, startServe } from "../../support/commands.ts";
import { call, runnersUntil, targetUrl } from "../../support/http.ts";
import { createPki, issueServer } from "../../support/pki.ts";
import { startScriptedAgent } from "../../support/scripted-agent.ts";
import { ADMIN_TOKEN, RUNNER, startControlPlane } from "../../support/system.ts";
import { refusingAddress } from "../../support/target.ts";
import { tempPath } from "../../support/temp.ts";

const host = new CommandHost(new URL("../../../src/cli/main.ts", import.meta.url));
after(() => host[Symbol.asyncDispose]());

function unpack(archive: string): Map<string, string> {
  const folder = tempPath("");
  mkdirSync(folder);
  execFileSync("tar", ["-xzf", archive, "-C", folder]);
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" });
  return new Map(
    names
      .filter((name) => statSync(path.join(folder, name)).isFile())
      .map((name) => [name, readFileSync(path.join(folder, name), "utf8")]),
  );
}

describe("turnabout diag", () => {
  it("has the state of both ends, for its owner only, and none of their secrets", async () => {
    const { cert, key } = await issueServer(await createPki());
    const address = await refusingAddress();
    const secrets = {
      admin: ADMIN_TOKEN,
      operator: "0perator-of-a-profile",
      agent: "agent-t0ken-in-a-file",
      agentUrlPassword: "pw-0f-the-agent-url",
      agentUrlQuery: "query-0f-the-agent-url",
      proxyPassword: "pw-0f-the-pr0xy",
      environment: "un-related-envir0nment",
      moonlight: "m00nlight-credentials",
      cookie: "c00kie-of-a-browser",
      proxyAuthorization: "pr0xy-authorization",
      basicOfTarget: Buffer.from("user:t0p").toString("base64"),
      query: "query-0f-a-request",
      address,
    };
    const token = (id: string, kind: string, secret: string) => ({
      id,
      kind,
      sha256: hashToken(secret),
      runners: ["*"],
    });
    const tokens = [token("ops", "admin", secrets.operator), token("host", "runner", secrets.agent)];
    await using serve = await startServe(
      [
        `--token-file=${file(JSON.stringify({ tokens }))}`,
        `--tls-cert=${file(cert)}`,
        `--tls-key=${file(key)}`,
        `--agent-url=https://x:${secrets.agentUrlPassword}@cp.example/?k=${secrets.agentUrlQuery}`,
        "--log-level=debug",
      ],
      { env: { DB_PASSWORD: secrets.environment, MOONLIGHT_CREDENTIALS: secrets.moonlight } },
    );
    const args = ["--token-file", file(`${secrets.agent}\n`)];
    await using agent = startAgent(serve.url, "host-1", `web=${address}`, args, {
      TURNABOUT_TOKEN: undefined,
      HTTPS_PROXY: `http://u:${secrets.proxyPassword}@127.0.0.1:1`,
    });
    await runnersUntil(serve.url, ([first]) => first?.state === "connected", "the agent");
    const url = targetUrl(serve.url, "host-1", "web");
    await call(`${url}?api_key=${secrets.query}`);
    await call(`${serve.url}/api/v1/runners?access_token=${secrets.query}`, { token: null });
    await call(url, { headers: { authorization: `Basic ${secrets.basicOfTarget}` }, token: null });
    await call(url, { headers: { cookie: `access_token=${secrets.cookie}` }, token: null });
    const proxied = { "proxy-authorization": `Basic ${secrets.proxyAuthorization}` };
    await call(url, { headers: proxied });
    await agent.logged("target not reached");

    const home = tempPath("");
    mkdirSync(path.join(home, "turnabout"), { recursive: true });
    const profile = { profiles: { default: { server: serve.url, token: secrets.operator } } };
    writeFileSync(path.join(home, "turnabout/profiles.yaml"), JSON.stringify(profile), { mode: 0o600 });
    const out = tempPath(".tar.gz");
    const diag = await host.run(["diag", "--out", out], { XDG_CONFIG_HOME: home });
    assert.equal(diag.code, 0, diag.stderr);
    assert.equal(statSync(out).mode & 0o777, 0o600);
    const files = unpack(out);
    assert.deepEqual([...files.keys()].toSorted(), [
      "agents/001-host-1.json",
      "control-plane/diagnosis.json",
      "control-plane/instances.json",
      "control-plane/log.json",
      "control-plane/metrics.txt",
      "control-plane/runners.json",
      "control-plane/sessions.json",
      "manifest.json",
    ]);
    // Each is there in full: a diagnosis without content would have no secret either.
    for (const [name, pattern] of [
      ["control-plane/diagnosis.json", /"graceMs": 30000.*"store": "ok"/s],
      ["control-plane/log.json", /"control plane listens".*"request failed".*"errno": "ECONNREFUSED"/s],
      ["control-plane/metrics.txt", /^turnabout_connections 2$/m],
      ["agents/001-host-1.json", /"heap_size_limit".*"target not reached"/s],
    ] as const)
      assert.match(files.get(name) ?? "", pattern, name);
    const keyLine = key.split("\n")[1] ?? assert.fail("a key of one line");
    const hashes = [secrets.operator, secrets.agent, ADMIN_TOKEN].map(hashToken);
    for (const [name, text] of files) {
      for (const [what, secret] of [...Object.entries(secrets), ["key", keyLine], ...hashes.entries()]) {
        assert.ok(!text.includes(secret), `${what} is in ${name}`);
        assert.ok(!text.includes(Buffer.from(secret).toString("base64")), `${what} in base64 in ${name}`);
      }
    }
    const again = await host.run(["diag", "--out", out], { XDG_CONFIG_HOME: home });
    assert.deepEqual([again.code, /exists/.test(again.stderr)], [2, true]);
  });

  it("says which agent has none, and goes on", async () => {
    await using controlPlane = await startControlPlane();
    await using _agent = await startScriptedAgent(controlPlane, { capabilities: [], onStream: () => {} });
    const out = tempPath(".tar.gz");
    const server = `http://127.0.0.1:${controlPlane.port}`;
    const args = ["diag", "--server", server, "--out", out];
    const env = { TURNABOUT_TOKEN: ADMIN_TOKEN, XDG_CONFIG_HOME: tempPath("") };
    const { code, stderr } = await host.run(args, env);
    assert.equal(code, 0, stderr);
    assert.match(stderr, new RegExp(`agent of ${RUNNER}: .*the agent \\(version 0\\) has no diagnosis`));
    assert.match(unpack(out).get("manifest.json") ?? "", /has no diagnosis/);
  });
});
