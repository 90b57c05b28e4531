/** The control plane's own HTTP API: Hono, one resource a file. */
import { getRequestListener } from "@hono/node-server";
import type { HttpBindings, Http2Bindings } from "@hono/node-server";
import { Hono } from "hono";
import { toError, TurnaboutError } from "../../wire/errors.ts";
import type { Logger } from "../../wire/log.ts";
import { DOOR_PATH } from "../../wire/protocol.ts";
import { authenticate } from "../auth/authenticate.ts";
import type { Identity } from "../auth/identity.ts";
import type { TokenStore } from "../auth/tokens.ts";
import { errorAnswer } from "../http-errors.ts";
import type { AnyRequest, AnyResponse } from "../listener/port.ts";
import type { ControlMetrics } from "../metrics.ts";
import type { Registry } from "../registry.ts";
import { forHttp2 } from "./for-http2.ts";
import { healthRoutes } from "./health.ts";
import { runnerRoutes } from "./runners.ts";

export interface AppContext {
  registry: Registry;
  tokens: TokenStore;
  metrics: ControlMetrics;
  log: Logger;
  ready(): { ready: boolean; missing: string[] };
  basePath: string;
}

export interface AppEnv {
  Bindings: HttpBindings | Http2Bindings;
  Variables: { identity: Identity };
}

export function createApp(context: AppContext): (request: AnyRequest, response: AnyResponse) => void {
  const app = new Hono<AppEnv>().basePath(context.basePath === "" ? "/" : context.basePath);
  app.use(forHttp2);
  app.route("/", healthRoutes(context));
  app.use("/api/*", async (c, next) => {
    c.set("identity", authenticate(c.env.incoming.headers, "authorization", context.tokens));
    await next();
  });
  for (const path of [DOOR_PATH, "/revdial"]) {
    app.all(path, () => {
      throw new TurnaboutError("upgrade_required", "agent door without an upgrade");
    });
  }
  app.route("/api/v1/runners", runnerRoutes(context));
  app.notFound(() => {
    throw new TurnaboutError("not_found", "no such route");
  });
  app.onError((cause) => {
    const error = toError(cause);
    const answer = errorAnswer(error);
    if (!(error instanceof TurnaboutError)) {
      context.log.error({ err: error, requestId: answer.requestId }, "request handler failed");
    }
    return new Response(answer.body, { status: answer.status, headers: answer.headers });
  });
  const listener = getRequestListener(app.fetch, {
    overrideGlobalObjects: false,
    hostname: "localhost", // load balancers' HTTP/1.0 health checks come without Host
  });
  return (request, response) => {
    listener(request, response).catch((error: unknown) => {
      context.log.error({ err: error }, "response could not be sent");
      response.destroy();
    });
  };
}
