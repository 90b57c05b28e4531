import assert from "node:assert/strict";
import { mkdirSync, rmSync } from "node:fs";
import { afterEach, it } from "node:test";
import { api } from "../../support/api.ts";
import { pause } from "../../support/events.ts";
import { assertNothingOpen } from "../../support/nothing-open.ts";
import { tempPath } from "../../support/temp.ts";
import { createSession, heartbeat, listSessions, newSession, startSessions } from "./sessions-stand.ts";

afterEach(() => assertNothingOpen());

it("sessions run and end while nothing can be saved, and none is created", async () => {
  const dataDirectory = tempPath("-data");
  await using stand = await startSessions({ controlPlane: { dataDirectory } });
  const { url } = stand;
  const { id } = await newSession(url);
  rmSync(dataDirectory, { recursive: true });
  assert.equal((await createSession(url)).code, "store_unavailable");
  assert.deepEqual(
    stand.wolf("a").state.lobbies.map(({ name }) => name),
    [id],
    "no lobby without a session",
  );
  // What an instance reports counts, although it is not saved.
  assert.equal((await heartbeat(url, "a", { max_sandboxes: 7 })).code, "store_unavailable");
  assert.equal((await api(url, "DELETE", `/api/v1/sessions/${id}`)).code, "store_unavailable");
  assert.deepEqual(stand.wolf("a").state.lobbies, []);
  assert.deepEqual(await listSessions(url), []);
  mkdirSync(dataDirectory);
  while ((await api(url, "POST", "/api/v1/tokens", { json: { id: "fresh", kind: "user" } })).status !== 201) {
    await pause();
  }
  const later = await newSession(url);
  await stand.system.close();
  await using again = await startSessions({ agents: false, controlPlane: { dataDirectory } });
  assert.deepEqual(
    (await listSessions(again.url)).map((session) => session.id),
    [later.id],
  );
});
