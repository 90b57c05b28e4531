import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it, mock } from "node:test";
import { TurnaboutError } from "../../wire/errors.ts";
import { silentLogger } from "../../wire/log.ts";
import {
  CONNECTIONS_PER_CREDENTIAL,
  CREDENTIAL_SHORT_CONNECTIONS_BURST,
  MAX_ADMISSIONS_PER_CREDENTIAL,
  RUNNER_SHORT_CONNECTIONS_BURST,
  RUNNER_SHORT_CONNECTIONS_PER_S,
  SHORT_CONNECTION_MS,
} from "../limits.ts";
import { AgentBudget, AgentBudgets } from "./agent-budgets.ts";

let nowMs = 0;

beforeEach(() => {
  nowMs = 1_000_000;
  mock.method(performance, "now", () => nowMs);
});
afterEach(() => mock.restoreAll());

const SHORT = { livedMs: 20, runners: 0 };

/** Undefined if an agent of this runner may connect. */
function refusal(budget: AgentBudget, runner: string): TurnaboutError | undefined {
  try {
    budget.checkConnect(runner);
    return undefined;
  } catch (error) {
    return error instanceof TurnaboutError ? error : assert.fail(String(error));
  }
}

describe("connections of one credential", () => {
  it("that end at once are limited for their runner, and allowed again after a while", () => {
    const budget = new AgentBudget("c", silentLogger);
    for (let n = 0; n < RUNNER_SHORT_CONNECTIONS_BURST; n += 1) {
      assert.equal(refusal(budget, "r"), undefined);
      budget.connectionEnded("r", SHORT);
    }
    const error = refusal(budget, "r");
    assert.deepEqual([error?.code, error?.retryAfterS], ["rate_limited", 1]);
    assert.equal(refusal(budget, "other"), undefined);
    nowMs += 1_000 / RUNNER_SHORT_CONNECTIONS_PER_S;
    assert.equal(refusal(budget, "r"), undefined);
  });

  it("that end at once are limited for all of its runners together", () => {
    const budget = new AgentBudget("c", silentLogger);
    for (let n = 0; n < CREDENTIAL_SHORT_CONNECTIONS_BURST; n += 1) budget.connectionEnded(`r${n}`, SHORT);
    assert.equal(refusal(budget, "new")?.code, "rate_limited");
  });

  it("cost more with many runners, and where their /hello is not valid", () => {
    const many = new AgentBudget("c", silentLogger);
    for (let n = 0; n < 2; n += 1) many.connectionEnded("r", { livedMs: 20, runners: 256 });
    assert.equal(refusal(many, "r")?.code, "rate_limited");
    const malformed = new AgentBudget("c", silentLogger);
    for (let n = 0; n < 4; n += 1) malformed.notAdmitted("r", new TurnaboutError("tunnel_protocol", "test"));
    assert.equal(refusal(malformed, "r")?.code, "rate_limited");
  });

  it("that last cost nothing", () => {
    const budget = new AgentBudget("c", silentLogger);
    for (let n = 0; n < 1_000; n += 1)
      budget.connectionEnded("r", { livedMs: SHORT_CONNECTION_MS, runners: 256 });
    assert.equal(refusal(budget, "r"), undefined);
  });

  it("have a maximum, open and on their way", () => {
    const budget = new AgentBudget("c", silentLogger);
    const admitted = Array.from({ length: MAX_ADMISSIONS_PER_CREDENTIAL }, () => budget.admitting());
    assert.equal(refusal(budget, "r")?.code, "overloaded");
    for (const done of admitted) {
      done();
      done();
    }
    assert.equal(refusal(budget, "r"), undefined);
    const closed = Array.from({ length: CONNECTIONS_PER_CREDENTIAL }, () => budget.connected());
    assert.equal(refusal(budget, "r")?.code, "overloaded");
    closed[0]?.();
    assert.equal(refusal(budget, "r"), undefined);
    assert.equal(budget.isIdle, false);
  });
});

it("budgets are kept while something counts against them", () => {
  const budgets = new AgentBudgets(silentLogger);
  const used = budgets.of("used");
  used.connectionEnded("r", SHORT);
  const unused = budgets.of("unused");
  for (let n = 0; n < 1_000; n += 1) budgets.of(`other-${n}`);
  assert.equal(budgets.of("used"), used);
  assert.notEqual(budgets.of("unused"), unused);
});
