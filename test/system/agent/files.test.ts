/** Files that are not there when an agent starts, and come later. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { afterEach, describe, it } from "node:test";
import { assertEchoes, file, followAgent, keptLog } from "../../support/agents.ts";
import { eventually } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { ADMIN_TOKEN, RUNNER, startSystem, TARGET } from "../../support/system.ts";
import { tempPath } from "../../support/temp.ts";

afterEach(() => assertNothingOpen());

describe("an agent that starts before its files", () => {
  it("logs one error that names the file, and connects when the files exist", async () => {
    await using system = await startSystem({ tls: true, agents: 0 });
    const token = tempPath(".token");
    const caFile = tempPath(".pem");
    const { log, lines } = keptLog();
    await using agent = followAgent({
      server: system.url,
      token: { file: token },
      caFile,
      log,
      runners: { [RUNNER]: { [TARGET]: system.target.address } },
    });
    await agent.failed();
    await agent.failed(1);
    writeFileSync(token, `${ADMIN_TOKEN}\n`);
    const isFor = (path: string) => (line: { level: string; fields: Record<string, unknown> }) =>
      line.level === "error" && String(line.fields["reason"]).includes(path);
    await lines.find(isFor(caFile), "the complaint about the CA");
    writeFileSync(caFile, system.pki?.ca ?? "");
    await agent.connected();
    await assertEchoes(system.controlPlane.dial);
    for (const path of [token, caFile]) {
      const [complaint, ...more] = lines.all.filter(isFor(path));
      assert.equal(complaint?.message, "the configuration cannot be used; trying again");
      assert.match(String(complaint?.fields["reason"]), /file .*: ENOENT/);
      assert.deepEqual(more, []);
    }
  });

  it("treats an empty file like a missing one", async () => {
    await using system = await startSystem({ agents: 0 });
    const path = file("\n");
    await using agent = followAgent({ server: system.url, token: { file: path } });
    assert.match((await agent.failed()).error.message, /token file .*: empty/);
    writeFileSync(path, ADMIN_TOKEN);
    await agent.connected();
    await eventually(() => system.controlPlane.runners().length === 1, "the registration");
  });
});
