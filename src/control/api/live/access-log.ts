/**
 * `GET /api/v1/access-log`: lines of the access log as requests end, as server-sent events. A reader that is too slow misses
 * lines, and gets their number.
 */
import { setTimeout as delay } from "node:timers/promises";
import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import { TurnaboutError } from "../../../wire/errors.ts";
import { Guard } from "../../../wire/streams/guard.ts";
import { ACCESS_EVENTS_BYTES, ACCESS_EVENTS_PAUSE_MS } from "./limits.ts";
import type { AccessLines } from "../../records/access-reader.ts";
import type { AppContext, AppEnv } from "../context.ts";
import { REFUSED } from "../schemas.ts";
import { refuseInvalid } from "../validation.ts";
import { accessFilter } from "./access-filter.ts";
import { accessQuery } from "./access-query.ts";
import { openReader } from "./open-reader.ts";
import type { Reader } from "./open-reader.ts";

const read = createRoute({
  method: "get",
  path: "/",
  tags: ["operations"],
  operationId: "readAccessLog",
  summary:
    "Lines of the access log as requests end, as server-sent events; a user reads those of the user's own requests",
  request: { query: z.object(accessQuery) },
  responses: {
    200: {
      description:
        "Events `line`, each a line of the access log, and `dropped` with the number of lines that were left out",
      content: { "text/event-stream": { schema: { type: "string" } } },
    },
    ...REFUSED,
  },
});

export function accessLogRoutes(context: AppContext): OpenAPIHono<AppEnv> {
  const { accessLog, shares } = context;
  const routes = new OpenAPIHono<AppEnv>({ defaultHook: refuseInvalid });
  routes.openapi(read, (c) => {
    const identity = c.get("identity");
    if (identity.kind === "runner")
      throw new TurnaboutError("not_allowed", "access log: needs the token of an admin or a user");
    const matches = accessFilter(identity, c.req.valid("query"));
    return openReader(c, context, shares.accessReaders, (reader) => {
      const lines = accessLog.subscribe({ matches });
      let pendingBytes = 0;
      const guard = new Guard(() => reader.end());
      guard.run(() => deliver(lines, reader, (bytes) => (pendingBytes = bytes)));
      return { heldBytes: () => lines.heldLength + pendingBytes, stop: () => lines.close() };
    });
  });
  return routes;
}

/** Until either end is closed. */
async function deliver(
  lines: { read(): Promise<AccessLines | undefined> },
  { stream, end }: Reader,
  pending: (bytes: number) => void,
): Promise<void> {
  for (let next = await lines.read(); next !== undefined; next = await lines.read()) {
    const pieces = eventsOf(next);
    let bytes = pieces.reduce((sum, { length }) => sum + length, 0);
    for (const piece of pieces) {
      pending(bytes);
      bytes -= piece.length;
      if (!(await stream.sendPaced(piece))) return;
    }
    pending(0);
    await delay(ACCESS_EVENTS_PAUSE_MS, undefined, { ref: false });
  }
  end();
}

/** In pieces that are sent at once. */
function eventsOf({ lines, dropped }: AccessLines): string[] {
  const pieces: string[] = [];
  let piece = "";
  for (const line of lines) {
    piece += `event: line\ndata: ${line}\n`; // which has its own end
    if (piece.length < ACCESS_EVENTS_BYTES) continue;
    pieces.push(piece);
    piece = "";
  }
  if (dropped > 0) piece += `event: dropped\ndata: ${JSON.stringify({ lines: dropped })}\n\n`;
  return piece === "" ? pieces : [...pieces, piece];
}
