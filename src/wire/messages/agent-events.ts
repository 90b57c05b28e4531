/** `GET /events`: one JSON object per line, while the connection is open. Unknown types are ignored. */
import { parseBoundedJson } from "./bounded-json.ts";
import { TurnaboutError } from "../errors.ts";
import type { RunnerInfo } from "./hello.ts";
import { parseRunner } from "./hello.ts";
import { isRunnerId, isTargetName } from "./names.ts";

export type AgentEvent =
  | { type: "runner-added"; runner: RunnerInfo }
  | { type: "runner-removed"; id: string }
  | { type: "target-health"; runner: string; target: string; healthy: boolean };

/** Undefined for a type that this version does not know. @throws TurnaboutError or SyntaxError on a malformed line */
export function parseAgentEvent(line: string): AgentEvent | undefined {
  const parsed = parseBoundedJson(line);
  if (typeof parsed !== "object" || parsed === null) {
    throw new TurnaboutError("tunnel_protocol", "events: a line is not an object");
  }
  const value = parsed as Record<string, unknown>;
  switch (value["type"]) {
    case "runner-added":
      return { type: "runner-added", runner: parseRunner(value["runner"]) };
    case "runner-removed":
      return { type: "runner-removed", id: name(value["id"], isRunnerId) };
    case "target-health":
      return {
        type: "target-health",
        runner: name(value["runner"], isRunnerId),
        target: name(value["target"], isTargetName),
        healthy: flag(value["healthy"]),
      };
    default:
      return undefined;
  }
}

function name(value: unknown, isValid: (text: string) => boolean): string {
  if (typeof value === "string" && isValid(value)) return value;
  throw new TurnaboutError("tunnel_protocol", "events: a name is not valid");
}

function flag(value: unknown): boolean {
  if (typeof value === "boolean") return value;
  throw new TurnaboutError("tunnel_protocol", "events: healthy is not a boolean");
}
