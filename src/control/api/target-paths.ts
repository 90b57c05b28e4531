/** The routes that lead to targets, for /openapi.json: they are not Hono's, but callers want to find them there. */
import { z } from "@hono/zod-openapi";
import type { OpenAPIHono } from "@hono/zod-openapi";
import { AGENT_ENDPOINT_PATH, ENDPOINT_RUNNER_PARAMETER } from "../../wire/protocol.ts";
import { REFUSED, SECURITY } from "./schemas.ts";

type OpenApiRegistry = OpenAPIHono["openAPIRegistry"];
type Method = "get" | "post" | "put" | "patch" | "delete" | "head" | "options";

const ANY: readonly Method[] = ["get", "post", "put", "patch", "delete", "head", "options"];

const WEBSOCKET = { 101: { description: "A WebSocket, where asked for; on HTTP/2 a 200 (RFC 8441)" } };
const TARGETS = { 200: { description: "The target's own answer; so is any other status of its" } };

/** What changes how long the control plane waits; neither field reaches the target. */
const waiting = z.object({
  Prefer: z
    .string()
    .optional()
    .openapi({ description: "`wait=N`: up to N seconds, at most 120, for a runner that is not connected" }),
  "Turnabout-Timeout": z
    .string()
    .optional()
    .openapi({ description: "At most so many seconds for the target's response header", example: "10" }),
});

/** Browsers can set no field on a WebSocket: there a parameter is accepted, and only there. */
const OR_PARAMETER = [...SECURITY, { parameter: [] }];

export function describeTargetRoutes(registry: OpenApiRegistry): void {
  const describe = (
    methods: readonly Method[],
    path: string,
    summary: string,
    tag: string,
    { query, is }: { query?: z.ZodObject | undefined; is: "HTTP" | "WebSocket" | "both" },
  ) => {
    const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => name);
    const params = z.object(Object.fromEntries(names.map((name) => [name, z.string()])));
    for (const method of methods) {
      const isWebSocket = is !== "HTTP" && method === "get";
      registry.registerPath({
        method,
        path,
        summary,
        tags: [tag],
        ...(isWebSocket && { security: OR_PARAMETER }),
        request: { params, headers: waiting, ...(query !== undefined && { query }) },
        responses: {
          ...(isWebSocket && WEBSOCKET),
          ...(is !== "WebSocket" && TARGETS),
          default: { description: "A refusal of ours, with `X-Request-Id`, or of the target's" },
        },
      });
    }
  };
  const add = (
    methods: readonly Method[],
    path: string,
    summary: string,
    tag: string,
    query?: z.ZodObject,
  ) => {
    const is = methods === ANY ? "both" : summary.startsWith("WebSocket") ? "WebSocket" : "HTTP";
    describe(methods, path, summary, tag, { query, is });
  };
  registry.registerPath({
    method: "get",
    path: AGENT_ENDPOINT_PATH,
    summary: "The agent door: a dial that becomes a reversed session",
    tags: ["agents"],
    security: [{ bearer: [] }],
    request: { query: z.object({ [ENDPOINT_RUNNER_PARAMETER]: z.string() }) },
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
  add(["get", "head"], `${agent}/screenshot`, "The sandbox's screen (format, quality; ETag)", "sandbox");
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
    "Moonlight Web of the session's instance (what a viewer needs; all of it for admins)",
    "moonlight",
    z.object({ session_id: z.string() }),
  );
}
