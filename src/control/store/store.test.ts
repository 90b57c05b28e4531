import assert from "node:assert/strict";
import { renameSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { afterEach, beforeEach, describe, it, mock } from "node:test";
import { keptLog } from "../../../test/support/agents.ts";
import { tempPath } from "../../../test/support/temp.ts";
import { TurnaboutError } from "../../wire/errors.ts";
import { MAX_UNSAVED_SIGHTINGS, STORE_PROBLEMS_LOGGED_PER_MINUTE, STORE_RETRY_MS } from "./limits.ts";
import { FILE_NAME } from "../sqlite/file-names.ts";
import { openStore } from "./open-store.ts";
import type { Store } from "./store.ts";

beforeEach(() => mock.timers.enable({ apis: ["setTimeout"] }));
afterEach(() => mock.timers.reset());

/** A store with one statement, and a lock of another program on it. */
async function start() {
  const directory = tempPath("-data");
  const { log, lines } = keptLog();
  const store = await openStore({ directory, log });
  const put = store.prepare("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)");
  const all = store.prepare("SELECT name, value FROM meta WHERE name LIKE 'test-%' ORDER BY name");
  return {
    directory,
    store,
    lines,
    put: (name: string, value = "") => put.run(`test-${name}`, value),
    names: () => all.all().map(({ name }) => String(name).slice(5)),
    values: () => all.all().map(({ value }) => String(value)),
    lock: () => {
      const other = new DatabaseSync(join(directory, FILE_NAME));
      other.exec("BEGIN IMMEDIATE");
      return other;
    },
  };
}

function assertUnavailable(work: () => void): void {
  assert.throws(work, (error) => error instanceof TurnaboutError && error.code === "store_unavailable");
}

async function assertUnsettled(store: Store): Promise<void> {
  await assert.rejects(
    store.settled("test"),
    (error) => error instanceof TurnaboutError && error.code === "store_unavailable",
  );
}

describe("Store", () => {
  it("refuses what has to be saved, and saves later what counts already, the latest of each subject", async () => {
    const { store, put, names, values, lock } = await start();
    const other = lock();
    assertUnavailable(() => store.write("test", () => put("refused")));
    store.save("a", () => put("a", "1"));
    store.save("a", () => put("a", "2"));
    store.save("b", () => put("b", "3"));
    assert.deepEqual([store.problem, store.unsaved, store.isUnsaved("a")], ["locked", 2, true]);
    await assertUnsettled(store);
    mock.timers.tick(STORE_RETRY_MS);
    assert.equal(store.unsaved, 2);
    other.close();
    mock.timers.tick(STORE_RETRY_MS);
    assert.deepEqual(
      [store.problem, store.unsaved, names(), values()],
      [undefined, 0, ["a", "b"], ["2", "3"]],
    );
    await store.settled("test");
    store.close();
  });

  it("saves at once what could not be saved, when a caller waits for it", async () => {
    const { store, put, names, lock } = await start();
    const other = lock();
    store.save("a", () => put("a"));
    other.close();
    await store.settled("test");
    assert.deepEqual(names(), ["a"]);
    store.close();
  });

  it("keeps a change whole or not at all", async () => {
    const { store, put, names } = await start();
    const broken = (): void => {
      put("half");
      throw new Error("broken");
    };
    assert.throws(() => store.write("test", broken), /^Error: broken$/);
    store.save("b", broken); // a fault of ours: it is logged, and not tried again
    assert.deepEqual([names(), store.unsaved, store.problem], [[], 0, undefined]);
    store.close();
  });

  it("holds up no change by one that the database does not take", async () => {
    const { store, put, names, lock, lines } = await start();
    const other = lock();
    store.save("throws", () => {
      throw new RangeError("too large");
    });
    store.save("good", () => put("good"));
    other.close();
    mock.timers.tick(STORE_RETRY_MS);
    assert.ok(names().includes("good"));
    assert.equal(store.unsaved, 0);
    assert.ok(lines.all.some(({ message }) => message === "store: a change was not saved"));
    store.close();
  });

  it("drops the oldest of what may be dropped, and nothing else", async () => {
    const { store, put, lock } = await start();
    const other = lock();
    store.save("needed", () => put("needed"));
    for (let n = 0; n <= MAX_UNSAVED_SIGHTINGS; n += 1) store.save(`${n}`, () => put("seen"), true);
    assert.deepEqual(
      [store.unsaved, store.isUnsaved("needed"), store.isUnsaved("0"), store.isUnsaved("1")],
      [MAX_UNSAVED_SIGHTINGS + 1, true, false, true],
    );
    other.close();
    store.close();
  });

  it("saves the rest when it is closed", async () => {
    const { store, put, lock, directory } = await start();
    const other = lock();
    store.save("a", () => put("a"));
    other.close();
    store.close();
    store.save("b", () => put("b")); // nothing comes of it
    const again = await openStore({ directory });
    const rows = again.prepare("SELECT name FROM meta WHERE name LIKE 'test-%'").all();
    assert.deepEqual(
      rows.map(({ name }) => name),
      ["test-a"],
    );
    again.close();
  });

  it("logs a problem that comes and goes a bounded number of times", async () => {
    const { store, put, lock, lines } = await start();
    for (let n = 0; n < 3 * STORE_PROBLEMS_LOGGED_PER_MINUTE; n += 1) {
      const other = lock();
      assertUnavailable(() => store.write("test", () => put("a")));
      other.close();
      store.write("test", () => put("a"));
    }
    const begins = lines.all.filter(({ level }) => level === "error").length;
    const ends = lines.all.filter(({ level }) => level === "info").length;
    assert.deepEqual([begins, ends], [STORE_PROBLEMS_LOGGED_PER_MINUTE, STORE_PROBLEMS_LOGGED_PER_MINUTE]);
    store.close();
  });

  it("acknowledges nothing in a file that is no longer in its place", async () => {
    const { store, put, directory } = await start();
    store.write("test", () => put("a"));
    renameSync(directory, `${directory}-moved`);
    assert.deepEqual([store.problem, store.inspect()], [undefined, "missing"]);
    assertUnavailable(() => store.write("test", () => put("b")));
    assert.equal(store.problem, "missing");
    renameSync(`${directory}-moved`, directory);
    store.write("test", () => put("b"));
    assert.equal(store.problem, undefined);
    store.close();
  });
});
