/** Changes that `/events` begins with: those between the response to `/hello` and the request for `/events`. */
import type { AgentEvent } from "../../wire/messages/agent-events.ts";
import type { RunnerInfo } from "../../wire/messages/hello.ts";

/** Without them a runner that is announced right after the connect would stay unknown until the next one. */
export function changesSince(reported: readonly RunnerInfo[], now: readonly RunnerInfo[]): AgentEvent[] {
  const before = new Map(reported.map((runner) => [runner.id, JSON.stringify(runner)]));
  const present = new Set(now.map(({ id }) => id));
  return [
    ...reported
      .filter(({ id }) => !present.has(id))
      .map(({ id }): AgentEvent => ({ type: "runner-removed", id })),
    ...now
      .filter((runner) => before.get(runner.id) !== JSON.stringify(runner))
      .map((runner): AgentEvent => ({ type: "runner-added", runner })),
  ];
}
