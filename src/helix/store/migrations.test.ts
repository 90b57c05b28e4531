import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FORMER_VERSIONS, formerDatabase } from "../../../test/support/former-database.ts";
import { openDatabase } from "../../control/sqlite/database.ts";
import { versionOf } from "../../control/sqlite/migrations.ts";
import { Store } from "../../control/store/store.ts";
import { InstanceStore } from "./instances.ts";
import { HELIX_MIGRATIONS } from "./migrations.ts";
import { SessionStore } from "./sessions.ts";

describe("Helix's tables", () => {
  for (const isLater of [false, true]) {
    const when = isLater ? "after the control plane alone has opened it" : "at its first opening";
    it(`are taken over from a database with one version for all tables, ${when}`, () => {
      for (const version of FORMER_VERSIONS) {
        const directory = formerDatabase(version);
        if (isLater) openDatabase(directory).close();
        const database = openDatabase(directory, [HELIX_MIGRATIONS]);
        assert.equal(versionOf(database, "helix"), HELIX_MIGRATIONS.steps.length);
        database.close();
        const store = new Store({ directory, migrations: [HELIX_MIGRATIONS] });
        assert.equal(new SessionStore(store).get("ses_1")?.spec.refreshRate, 3);
        const { maxSandboxes, diskAlert, diskReportedAtMs, gpus, gpuAlert } =
          new InstanceStore(store).get("a") ?? assert.fail("no instance");
        assert.deepEqual(
          [maxSandboxes, diskAlert, diskReportedAtMs, gpus, gpuAlert],
          [7, "critical", undefined, [], "ok"],
        );
        store.close();
      }
    });
  }
});
