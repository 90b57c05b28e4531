/** Makes each mistake of the table in docs/errors.md, and compares what is seen with what the table says. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { chmodSync, mkdirSync } from "node:fs";
import http from "node:http";
import net from "node:net";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { warnOfOpenSecrets } from "../../../src/cli/commands/secret-files.ts";
import { reportUnknownVariables } from "../../../src/cli/config/unknown-variables.ts";
import type { ControlPlane } from "../../../src/control/control-plane.ts";
import { hashToken } from "../../../src/control/auth/tokens.ts";
import { readDocument, sections, tableRows } from "../../docs/markdown.ts";
import { file, followAgent, keptLog } from "../../support/agents.ts";
import { CommandHost } from "../../support/command-host.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { createPki, issueServer } from "../../support/pki.ts";
import { startControlPlane } from "../../support/system.ts";
import { tempPath } from "../../support/temp.ts";

const host = new CommandHost(new URL("../../../src/cli/main.ts", import.meta.url));
after(() => host[Symbol.asyncDispose]());

interface Seen {
  error: string;
  hint: string;
  /** Undefined: the process goes on. */
  status?: number;
}

const SERVE = ["serve", "--port", "0", "--host", "127.0.0.1"];
const AGENT = ["agent", "--server", "http://127.0.0.1:1", "--token-file", "t", "--runner", "host-1"];
const TO_NOBODY = ["--server", "http://127.0.0.1:1", "--runner", "host-1", "--target", "web=127.0.0.1:1"];
const TOKEN = { TURNABOUT_TOKEN: "t" };
const ADMIN = { TURNABOUT_ADMIN_TOKEN: "t" };

async function command(args: readonly string[], env: Record<string, string> = {}): Promise<Seen> {
  const { code, stderr } = await host.run(args, env);
  const text = stderr.replaceAll(/^\{.*\n/gm, ""); // log lines before it
  const [, error = "", hint = ""] = /^error: (.*)\nhint: (.*)$/.exec(text) ?? [];
  assert.notEqual(error, "", stderr);
  return { error, hint, status: code };
}

function agent(file: string): Promise<Seen> {
  return command(["agent", ...TO_NOBODY, "--token-file", file]);
}

/** What an agent logs of its first attempt. */
async function attempt(options: Parameters<typeof followAgent>[0]): Promise<Seen> {
  const { log, lines } = keptLog();
  await using agent = followAgent({ ...options, log });
  await agent.failed();
  const { fields } = await lines.find(({ fields: { reason } }) => reason !== undefined, "the failure");
  return {
    error: String(fields["reason"]),
    hint: typeof fields["hint"] === "string" ? fields["hint"] : "",
  };
}

function tokenFile(...entries: object[]): string {
  return file(JSON.stringify({ tokens: entries }));
}

const PRINTED = `ta_${"x".repeat(32)}\n{"id":"host-1","kind":"runner","sha256":"","runners":["host-1"]}\n`;

describe("docs/errors.md, errors of use", () => {
  const [, ...rows] = tableRows(sections(readDocument("docs/errors.md"), 2).get("Errors of use") ?? "");
  const mistakes = new Map<string, () => Promise<Seen>>();
  let controlPlane: ControlPlane;
  let secure: ControlPlane;
  let ca = "";
  let otherCa = "";
  let pair = { cert: "", key: "" };
  let otherKey = "";

  before(async () => {
    const [ours, others] = [await createPki(), await createPki("Another CA")];
    const [own, foreign] = [await issueServer(ours), await issueServer(others)];
    [ca, otherCa] = [file(ours.ca), file(others.ca)];
    pair = { cert: file(own.cert), key: file(own.key) };
    otherKey = file(foreign.key);
    const bears = { id: "bears", kind: "runner" as const, sha256: hashToken("bears"), runners: ["bear-*"] };
    controlPlane = await startControlPlane({ tokens: [bears] });
    secure = await startControlPlane({ tls: { cert: own.cert, key: own.key } });
    assert.notEqual(ca, otherCa);
  });
  after(async () => {
    await controlPlane.close();
    await secure.close();
    await assertNothingOpen();
  });
  const url = (path = ""): string => `http://127.0.0.1:${controlPlane.address.port}${path}`;
  const secureUrl = (): string => `https://localhost:${secure.address.port}`;
  const on = (mistake: string, make: () => Promise<Seen>): void => void mistakes.set(mistake, make);

  on("a command that does not exist", () => command(["statsu"]));
  on("an option that does not exist", () => command(["serve", "--prot", "1"]));
  on("help for a command that does not exist", () => command(["help", "statsu"]));
  on("completion for a shell that is not supported", () => command(["completion", "tcsh"]));
  on("statuses that are none", () => command(["tail", "--status", "99"]));
  on("a negative time", () => command([...SERVE, "--grace", "-1"], ADMIN));
  on("a port that is none", () => command(["serve", "--port", "99999"], ADMIN));
  on("a pattern without quotes, which the shell replaces by names of files", () =>
    command(["token", "--id", "a", "--kind", "runner", "--runner", "host-1.token", "host-2.token"]),
  );
  on("a control plane without tokens", () => command(SERVE));
  on("a token file without entries", () => command([...SERVE, "--token-file", tokenFile()]));
  on("a token file whose entries match nothing", () => {
    const entry = { id: "a", kind: "runner", sha256: hashToken("x"), runners: ["Host-*"] };
    return command([...SERVE, "--token-file", tokenFile(entry)]);
  });
  on("an agent's token as the control plane's token file", () =>
    command([...SERVE, "--token-file", file(PRINTED)]),
  );
  on("a token file that is not JSON", () => command([...SERVE, "--token-file", file("{ tokens: ]")]));
  on("a file that does not exist", () => command([...SERVE, "--token-file", "/no/such/file"]));
  on("a directory in place of a file", () => {
    const folder = tempPath("-folder");
    mkdirSync(folder);
    return command([...SERVE, "--token-file", folder]);
  });
  on("a data directory that cannot be written", () => command([...SERVE, "--data-dir", file("")], ADMIN));
  on("a port that is taken", () => {
    const port = String(controlPlane.address.port);
    return command(["serve", "--host", "127.0.0.1", "--port", port], ADMIN);
  });
  on("a certificate without its key", () => command([...SERVE, "--tls-cert", pair.cert], ADMIN));
  on("a key of another certificate", () =>
    command([...SERVE, "--tls-cert", pair.cert, "--tls-key", otherKey], ADMIN),
  );
  on("certificate and key exchanged", () =>
    command([...SERVE, "--tls-cert", pair.key, "--tls-key", pair.cert], ADMIN),
  );
  on("a trusted proxy by name", () => command([...SERVE, "--trusted-proxy", "localhost"], ADMIN));
  on("an agent without a control plane", () => command(["agent", "--runner", "host-1"]));
  on("a login in the URL", () =>
    command([...AGENT, "--server", "https://me:pw@cp.example", "--target", "web=127.0.0.1:3000"]),
  );
  on("a target that is only a port", () => command([...AGENT, "--target", "web=3000"]));
  on("a target before its runner", () =>
    command(["agent", "--server", "http://x", "--target", "web=127.0.0.1:3000", "--runner", "host-1"]),
  );
  on("two targets of one name", () =>
    command([...AGENT, "--target", "web=127.0.0.1:3000", "--target", "web=127.0.0.1:3001"]),
  );
  on("a pattern that can match nothing", () =>
    command(["token", "--id", "a", "--kind", "runner", "--runner", "Host.*"]),
  );
  on("a wrong key in the configuration file", () =>
    command(["config", "check", file("version: 1\nserve:\n  tokenfile: x\n")]),
  );
  on("an agent's key at the top of the configuration file", () =>
    command(["config", "check", file("version: 1\nserver: http://cp.example\n")]),
  );
  on("a configuration file that does not exist", () => command(["config", "check", "/no/such.yaml"]));
  on("a secret in the configuration file", () =>
    command(["config", "check", file("version: 1\nagent:\n  token: x\n")]),
  );
  on("an old Node, from source", async () => {
    const old =
      'Object.defineProperty(process, "versions", { value: { ...process.versions, node: "20.20.2" } })';
    const script = new URL("../../../src/cli/require-node.cjs", import.meta.url).pathname;
    const code = `${old}; require(${JSON.stringify(script)})`;
    const failed: unknown = await promisify(execFile)(process.execPath, ["-e", code]).catch(
      (error: unknown) => error,
    );
    const { stderr, code: status } = failed as { stderr: string; code: number };
    const [, error = "", hint = ""] = /^error: (.*)\nhint: (.*)\n$/.exec(stderr) ?? [];
    return { error, hint, status };
  });
  on("an agent with an empty token file", () => agent(file(" \n")));
  on("an agent with all that `turnabout token` prints as its token file", () => agent(file(PRINTED)));
  on("an agent with the control plane's token file", () => agent(tokenFile()));
  on("an agent with its key as its token file", () => agent(otherKey));
  on("an agent with a program as its token file", () => agent(file("\u007fELF\u0000")));
  on("an agent with a text as its token file", () => agent(file("x".repeat(8_001))));
  on("an agent with an archive as its token file", () => agent(file("x".repeat(65_537))));
  on("an agent with a directory as its token file", () => {
    const folder = tempPath("-folder");
    mkdirSync(folder);
    return agent(folder);
  });
  on("an agent with an empty token in its environment", () =>
    command(["agent", ...TO_NOBODY], { TURNABOUT_TOKEN: " " }),
  );
  on("an agent with a key as its CA", () => command(["agent", ...TO_NOBODY, "--ca", otherKey], TOKEN));
  on("an agent whose token file is not there yet", () =>
    attempt({ server: url(), token: { file: "/no/such/file" } }),
  );
  on("a token that the control plane does not know", () =>
    attempt({ server: url(), token: { value: "unknown" } }),
  );
  on("a token for another runner", () => attempt({ server: url(), token: { value: "bears" } }));
  on("`https` to a port without TLS", () => attempt({ server: url().replace("http:", "https:") }));
  on("a private CA that is not given", () => attempt({ server: secureUrl() }));
  on("another CA than that of the certificate", () => attempt({ server: secureUrl(), caFile: otherCa }));
  on("a server in front that passes no upgrade", async () => {
    const front = http.createServer((_request, response) => response.end("<html>"));
    const listening = Promise.withResolvers<void>();
    front.listen(0, "127.0.0.1", listening.resolve);
    await listening.promise;
    const { port } = front.address() as net.AddressInfo;
    try {
      return await attempt({ server: `http://127.0.0.1:${port}` });
    } finally {
      front.closeAllConnections();
      front.close();
    }
  });
  on("a path that is not the control plane's", () => attempt({ server: url("/other") }));
  on("nothing listens at the URL", () => attempt({ server: "http://127.0.0.1:1" }));
  on("a misspelled variable of the environment", async () => {
    const { log, lines } = keptLog();
    const ofKubernetes = {
      TURNABOUT_PORT: "tcp://10.0.0.1:8080",
      TURNABOUT_PORT_8080_TCP_ADDR: "10.0.0.1",
      TURNABOUT_CONTROL_PLANE_SERVICE_PORT_HTTP: "8080",
      TURNABOUT_SERVICE_HOST: "10.0.0.1",
    };
    const env = { ...ofKubernetes, TURNABOUT_GRACE: "5", TURNABOUT_TOKEN_FIEL: "x" };
    await reportUnknownVariables(env, log);
    assert.deepEqual(
      lines.all.map(({ fields }) => fields["variable"]),
      ["TURNABOUT_TOKEN_FIEL"],
    );
    const { message, fields } = await lines.find(() => true, "the warning");
    return { error: message, hint: String(fields["hint"]) };
  });
  on("a secret that other users can read", async () => {
    const { log, lines } = keptLog();
    const [open, closed] = [file("x"), file("x")];
    chmodSync(open, 0o644);
    chmodSync(closed, 0o640);
    warnOfOpenSecrets([open, closed, "/no/such/file", undefined, "/run/secrets/x"], log);
    assert.equal(lines.all.length, 1);
    const { message, fields } = await lines.find(() => true, "the warning");
    return { error: message, hint: String(fields["hint"]) };
  });
  on("a pattern in the token file that can match nothing", async () => {
    const { log, lines } = keptLog();
    const entry = { id: "a", kind: "user", sha256: hashToken("x"), runners: ["host-*", "Host-*"] };
    const started = await startControlPlane({ tokenFile: tokenFile(entry), log });
    await started.close();
    const { message, fields } = await lines.find(
      ({ fields: { entries } }) => entries !== undefined,
      "the warning",
    );
    assert.deepEqual(fields["entries"], [{ id: "a", patterns: ["Host-*"] }]);
    return { error: message, hint: String(fields["hint"]) };
  });

  it("has a row for each mistake that is made here, and no other", () => {
    assert.deepEqual(
      rows.map(([mistake]) => mistake),
      [...mistakes.keys()],
    );
  });

  for (const [mistake = "", error = "", hint = "", status = ""] of rows) {
    it(`tells of ${mistake}`, async () => {
      const seen = await (mistakes.get(mistake) ?? assert.fail("not made by this test"))();
      assert.match(seen.error, patternOf(error));
      assert.match(seen.hint, patternOf(hint));
      assert.equal(seen.status?.toString() ?? "", status);
    });
  }
});

/** A cell as the whole of a line: `…` is any text. */
function patternOf(cell: string): RegExp {
  const text = cell.replace(/^`|`$/g, "");
  return new RegExp(
    `^${text
      .split("…")
      .map((part) => RegExp.escape(part))
      .join(".*")}$`,
  );
}
