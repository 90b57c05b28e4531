/** The routes that lead to targets, for /openapi.json: they are not Hono's, but callers want to find them there. */
import { z } from "@hono/zod-openapi";
import type { OpenAPIHono } from "@hono/zod-openapi";
import { DOOR_PATH, DOOR_RUNNER_PARAMETER } from "../../wire/protocol.ts";
import { REFUSED } from "./schemas.ts";

type OpenApiRegistry = OpenAPIHono["openAPIRegistry"];
type Method = "get" | "post" | "put" | "patch" | "delete" | "head" | "options";

const ANY: readonly Method[] = ["get", "post", "put", "patch", "delete", "head", "options"];

export function describeDataRoutes(registry: OpenApiRegistry): void {
  const add = (
    methods: readonly Method[],
    path: string,
    summary: string,
    tag: string,
    query?: z.ZodObject,
  ) => {
    const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => name);
    const params = z.object(Object.fromEntries(names.map((name) => [name, z.string()])));
    for (const method of methods) {
      registry.registerPath({
        method,
        path,
        summary,
        tags: [tag],
        request: { params, ...(query !== undefined && { query }) },
        responses: {
          101: { description: "A WebSocket, where asked for" },
          default: { description: "The target's own answer, or a refusal of ours" },
        },
      });
    }
  };
  registry.registerPath({
    method: "get",
    path: DOOR_PATH,
    summary: "The agent door: a dial that becomes a reversed session",
    tags: ["agents"],
    request: { query: z.object({ [DOOR_RUNNER_PARAMETER]: z.string() }) },
    responses: { 101: { description: "Switched to ptth or websocket" }, ...REFUSED },
  });
  add(ANY, "/api/v1/runners/{id}/targets/{target}/{path}", "HTTP and WebSocket to any target", "targets");
  add(
    ANY,
    "/api/v1/wolf/{path}",
    "Wolf's API of one instance",
    "targets",
    z.object({ wolf_instance_id: z.string() }),
  );
  const agent = "/api/v1/external-agents/{session}";
  add(["get"], `${agent}/screenshot`, "The sandbox's screen (format, quality; ETag)", "sandbox");
  add(["get", "post"], `${agent}/clipboard`, "The sandbox's clipboard, text or image", "sandbox");
  add(["post"], `${agent}/upload`, "A file for the sandbox", "sandbox");
  add(["post"], `${agent}/input`, "Input events", "sandbox");
  add(["post"], `${agent}/exec`, "Run an allowed command", "sandbox");
  add(["get"], `${agent}/ws/input`, "WebSocket: input", "sandbox");
  add(["get"], `${agent}/ws/stream`, "WebSocket: video", "sandbox");
  add(["get"], `${agent}/ws/clipboard`, "WebSocket: clipboard changes", "sandbox");
  add(["get"], "/api/v1/stream/{session}", "WebSocket: Moonlight signalling", "moonlight");
  add(
    ANY,
    "/moonlight/{path}",
    "Moonlight Web of the session's instance",
    "moonlight",
    z.object({ session_id: z.string() }),
  );
}
