/** What `/events` has to tell first: whatever has changed between the answer to `/hello` and its own request. */
import type { AgentEvent } from "../../wire/messages/agent-events.ts";
import type { RunnerInfo } from "../../wire/messages/hello.ts";

/** Without it a runner that is announced right behind the connect would stay unknown until the next one. */
export function changesSince(told: readonly RunnerInfo[], now: readonly RunnerInfo[]): AgentEvent[] {
  const before = new Map(told.map((runner) => [runner.id, JSON.stringify(runner)]));
  const present = new Set(now.map(({ id }) => id));
  return [
    ...told
      .filter(({ id }) => !present.has(id))
      .map(({ id }): AgentEvent => ({ type: "runner-removed", id })),
    ...now
      .filter((runner) => before.get(runner.id) !== JSON.stringify(runner))
      .map((runner): AgentEvent => ({ type: "runner-added", runner })),
  ];
}
