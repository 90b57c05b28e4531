import assert from "node:assert/strict";
import { cpSync, mkdtempSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, it } from "node:test";
import { createControlPlane } from "../../../src/control/control-plane.ts";
import type { ControlPlane } from "../../../src/control/control-plane.ts";
import { helix } from "../../../src/helix/helix.ts";
import { createWolfDouble } from "../../../src/demo/wolf/double.ts";
import { eventually } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { ADMIN_TOKEN } from "../../support/system.ts";
import { tempPath } from "../../support/temp.ts";
import { api } from "../../support/api.ts";
import { assertNoOrphans, connectAgent, newSession, startSessions } from "./sessions-stand.ts";

afterEach(() => assertNothingOpen());

const start = (dataDirectory: string): Promise<ControlPlane> =>
  createControlPlane({
    port: 0,
    host: "127.0.0.1",
    adminToken: ADMIN_TOKEN,
    drainMs: 500,
    dataDirectory,
    extensions: [helix()],
  });
const urlOf = ({ port }: ControlPlane): string => `http://127.0.0.1:${port}`;

describe("lobbies whose sessions the control plane no longer knows", () => {
  it("are stopped after a backup without any session was restored", async () => {
    await using wolf = await createWolfDouble({ socketPath: tempPath() });
    const runners = { "wolf-a": { wolf: `unix:${wolf.socketPath}` } };
    const folder = mkdtempSync(tempPath("-"));
    const [live, backup] = [join(folder, "live"), join(folder, "backup")];
    await (await start(live)).close();
    cpSync(live, backup, { recursive: true });
    {
      await using controlPlane = await start(live);
      await using agent = await connectAgent(urlOf(controlPlane), { runners });
      await eventually(() => controlPlane.runners()[0]?.state === "connected", "its registration");
      for (let i = 0; i < 3; i += 1) await newSession(urlOf(controlPlane));
      await agent.close();
    }
    assert.equal(wolf.state.lobbies.length, 3);
    await using controlPlane = await start(backup);
    await using _agent = await connectAgent(urlOf(controlPlane), { runners });
    await eventually(() => wolf.state.lobbies.length === 0, "the end of what is newer than the backup");
    assert.deepEqual(await assertNoOrphans(urlOf(controlPlane), new Map([["a", wolf]])), []);
  });

  it("are stopped when an instance comes back that was forgotten with its sessions", async () => {
    await using stand = await startSessions({ controlPlane: { graceMs: 20 } });
    await newSession(stand.url);
    await newSession(stand.url);
    await stand.system.agent.close();
    await stand.event("grace-expired", "wolf-a");
    assert.equal((await api(stand.url, "DELETE", "/api/v1/wolf-instances/a")).status, 204);
    assert.equal(stand.wolf("a").state.lobbies.length, 2);
    await stand.agent("a");
    await eventually(() => stand.wolf("a").state.lobbies.length === 0, "the end of its lobbies");
    assert.deepEqual(await assertNoOrphans(stand.url, stand.wolves), []);
  });
});
