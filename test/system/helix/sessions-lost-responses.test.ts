import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { afterEach, describe, it } from "node:test";
import { createWolfDouble } from "../../../src/demo/wolf/double.ts";
import type { ReceivedRequest } from "../../../src/demo/wolf/connection.ts";
import type { Logger } from "../../../src/wire/log.ts";
import { keptLog } from "../../support/agents.ts";
import { startServe } from "../../support/commands.ts";
import { EventLog } from "../../support/event-log.ts";
import { eventually } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { tempPath } from "../../support/temp.ts";
import { api } from "../../support/api.ts";
import {
  assertNoOrphans,
  createSession,
  instancesUntil,
  listSessions,
  sessionsUntil,
  startSessions,
  startWolfAgent,
} from "./sessions-stand.ts";
import type { SessionStand } from "./sessions-stand.ts";

afterEach(() => assertNothingOpen());

const isCreation = ({ path }: ReceivedRequest): boolean => path === "/api/v1/lobbies/create";

/** One Wolf whose thread is held, with a creation that it has read and not begun. */
async function held(
  log?: Logger,
): Promise<SessionStand & { release(): void; creation: Promise<{ code: string | undefined }> }> {
  const requests = new EventLog<ReceivedRequest>();
  const stand = await startSessions({ wolf: { onRequest: requests.push }, controlPlane: { log } });
  const release = stand.wolf("a").hold();
  const creation = createSession(stand.url);
  await requests.find(isCreation, "the creation at Wolf");
  return Object.assign(stand, { release, creation });
}

describe("a creation whose response is lost", () => {
  it("with the tunnel is undone when the instance is back", async () => {
    await using stand = await held();
    const { url, wolves } = stand;
    stand.system.controlPlane.kick("wolf-a");
    await stand.system.agent.close();
    assert.equal((await stand.creation).code, "tunnel_lost");
    const [session] = await listSessions(url);
    assert.deepEqual([session?.state, session?.reason], ["stopping", "no response to its creation"]);
    stand.release();
    await eventually(() => stand.wolf("a").state.lobbies.length === 1, "the lobby that nobody knows of");
    const from = stand.events.length;
    await stand.agent("a");
    await stand.event("session-ended", session?.id, from);
    assert.deepEqual(await assertNoOrphans(url, wolves), []);
  });

  it("with Wolf, which starts anew behind its agent, is settled without a reconnect", async () => {
    const { log, lines } = keptLog();
    await using stand = await held(log);
    const { url } = stand;
    const socketPath = stand.wolf("a").socketPath;
    await stand.wolf("a").close();
    assert.match(String((await stand.creation).code), /^target_(closed|refused)$/);
    await lines.find(({ message }) => message.startsWith("could not compare sessions"), "a try that fails");
    await using fresh = await createWolfDouble({ socketPath });
    await sessionsUntil(url, (sessions) => sessions.length === 0, "the place is free again");
    assert.equal(fresh.requests.at(-1)?.path, "/api/v1/lobbies");
  });

  it("is undone also if Wolf continues with it after the session has been deleted", async () => {
    await using stand = await held();
    const { url, wolves } = stand;
    const [session] = await listSessions(url);
    assert.equal(session?.state, "creating");
    const removal = await api(url, "DELETE", `/api/v1/sessions/${session?.id}`);
    assert.equal(removal.status, 202, "its lobby has to be waited for");
    stand.release();
    assert.equal((await stand.creation).code, "session_unknown");
    assert.deepEqual(await assertNoOrphans(url, wolves), []);
    assert.equal((await api(url, "GET", `/api/v1/sessions/${session?.id}`)).code, "session_unknown");
  });

  it("with the control plane is found again by the next one on its directory", async () => {
    const requests = new EventLog<ReceivedRequest>();
    await using wolf = await createWolfDouble({ socketPath: tempPath(), onRequest: requests.push });
    const wolves = new Map([["a", wolf]]);
    const directory = mkdtempSync(tempPath("-data-"));
    await using before = await startServe(["--data-dir", directory]);
    await using agent = startWolfAgent(before.url, "a", wolf);
    await instancesUntil(before.url, ([instance]) => instance?.status === "online", "the instance");
    const release = wolf.hold();
    const creation = createSession(before.url).then(
      () => "responded",
      () => "cut",
    );
    await requests.find(isCreation, "the creation at Wolf");
    await before.end("SIGKILL");
    assert.equal(await creation, "cut");
    await using after = await startServe(["--data-dir", directory], { port: before.port });
    const [left] = await listSessions(after.url);
    assert.equal(left?.state, "creating");
    release();
    await sessionsUntil(after.url, ([session]) => session?.state === "running", "the session, adopted");
    assert.equal((await assertNoOrphans(after.url, wolves)).length, 1);
    const from = agent.lines.length;
    assert.equal((await api(after.url, "DELETE", `/api/v1/sessions/${left?.id}`)).status, 204);
    assert.deepEqual(await assertNoOrphans(after.url, wolves), []);
    // Its second connection may still be on its way back.
    const noticed = agent.lines.all.slice(from).filter(({ msg }) => msg !== "connected");
    assert.deepEqual(noticed, [], "the agent has noticed nothing");
  });
});
