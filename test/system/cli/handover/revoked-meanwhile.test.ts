/** Revocations over the API of a new process count in the old one too, which still has what its callers have opened. */
import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { afterEach, it } from "node:test";
import { hashToken } from "../../../../src/control/auth/tokens.ts";
import { file } from "../../../support/agents.ts";
import { api, issueToken } from "../../../support/api.ts";
import { run, startAgent, startServe } from "../../../support/commands.ts";
import { EventLog } from "../../../support/event-log.ts";
import { ending, next, within } from "../../../support/events.ts";
import { open, runnersUntil, targetUrl } from "../../../support/http.ts";
import { assertNothingOpen } from "../../../support/nothing-open.ts";
import { endProcess, listener } from "../../../support/processes.ts";
import { startHttpTarget } from "../../../support/target.ts";
import { tempPath } from "../../../support/temp.ts";

afterEach(() => assertNothingOpen());

it("a token that is revoked at the new process loses what it has at the old one, and no other token does", async () => {
  const responses = new EventLog<ServerResponse>();
  await using target = await startHttpTarget((_request, response) => {
    response.write("begun ");
    responses.push(response);
  });
  const configured = { id: "configured", kind: "admin", sha256: hashToken("configured") };
  const tokenFile = file(JSON.stringify({ tokens: [configured] }));
  const data = tempPath("-data");
  await using old = await startServe(["--data-dir", data, "--token-file", tokenFile, "--drain", "60"]);
  await using agent = startAgent(old.url, "web", `web=${target.address}`);
  await runnersUntil(old.url, ([runner]) => runner?.state === "connected", "the agent");
  const [issued, other] = await Promise.all(
    ["issued", "other"].map((id) => issueToken(old.url, { id, kind: "admin" })),
  );
  const begin = async (token: string | undefined) => {
    const stream = await open(targetUrl(old.url, "web", "web"), { token: token ?? null });
    await next(stream, "readable");
    return stream;
  };
  const ofIssued = ending(await begin(issued), 50_000);
  const ofConfigured = ending(await begin("configured"), 50_000);
  const staying = ending(await begin(other), 50_000);

  const upgraded = await run("turnabout", ["upgrade", "--data-dir", data]);
  assert.equal(upgraded.code, 0, upgraded.stderr);
  await using successor = await listener(old, 2);
  for (const id of ["issued", "configured"]) {
    assert.equal((await api(old.url, "DELETE", `/api/v1/tokens/${id}`)).status, 204, id);
  }
  assert.deepEqual([(await ofIssued).kind, (await ofConfigured).kind], ["error", "error"]);
  assert.ok(old.running, "long before the end of its drain");
  assert.ok(agent.running);

  for (const response of responses.all) response.end("and ended");
  const { kind, data: body } = await staying;
  assert.deepEqual([kind, body.toString()], ["end", "begun and ended"]);
  endProcess(successor.pid, "SIGTERM");
  await within(old.exited, "the end of both", 60_000);
});
