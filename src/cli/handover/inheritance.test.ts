import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { UsageError } from "../command.ts";
import { STARTED_BY, takeInheritance } from "./inheritance.ts";

const PID = 42;

describe("takeInheritance", () => {
  it("takes the socket of a service manager, and removes its variables from every environment", () => {
    const env = { LISTEN_PID: "42", LISTEN_FDS: "1", LISTEN_FDNAMES: "web", SECRET: "s" };
    assert.deepEqual(takeInheritance(env, PID, false), {
      environment: { SECRET: "s" },
      listenFd: 3,
      startedBy: undefined,
      ignored: undefined,
    });
    assert.deepEqual(env, { SECRET: "s" });
  });

  it("keeps for a successor what is removed from the environment later", () => {
    const env: NodeJS.ProcessEnv = { SECRET: "s" };
    const { environment } = takeInheritance(env, PID, false);
    delete env["SECRET"];
    assert.deepEqual(environment, { SECRET: "s" });
  });

  it("uses no socket without variables, with none of them, or if it is another process's", () => {
    for (const env of [{}, { LISTEN_FDS: "0", LISTEN_PID: "42" }])
      assert.deepEqual(takeInheritance(env, PID, false), {
        environment: {},
        listenFd: undefined,
        startedBy: undefined,
        ignored: undefined,
      });
    for (const env of [{ LISTEN_FDS: "1", LISTEN_PID: "41" }, { LISTEN_FDS: "1" }]) {
      const { listenFd, ignored } = takeInheritance(env, PID, false);
      assert.equal(listenFd, undefined);
      assert.match(ignored ?? "", /is not this process \(42\)/);
    }
  });

  it("refuses more than one socket, and what is no number of sockets", () => {
    for (const LISTEN_FDS of ["2", "-1", "1.5", "one"])
      assert.throws(
        () => takeInheritance({ LISTEN_PID: "42", LISTEN_FDS }, PID, false),
        (error) => error instanceof UsageError && error.message.startsWith(`LISTEN_FDS=${LISTEN_FDS}:`),
      );
  });

  it("believes that a process of ours has started it only over a channel", () => {
    for (const startedBy of ["upgrade", "supervisor"] as const) {
      const { listenFd, startedBy: found } = takeInheritance({ [STARTED_BY]: startedBy }, PID, true);
      assert.deepEqual([listenFd, found], [3, startedBy]);
      assert.throws(() => takeInheritance({ [STARTED_BY]: startedBy }, PID, false), UsageError);
    }
    assert.throws(() => takeInheritance({ [STARTED_BY]: "someone" }, PID, true), UsageError);
  });
});
