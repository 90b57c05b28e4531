/** The control plane's HTTP API: Hono, with one resource per file. The OpenAPI document comes from the same schemas. */
import { getRequestListener } from "@hono/node-server";
import { OpenAPIHono, z } from "@hono/zod-openapi";
import { HTTPException } from "hono/http-exception";
import { closeAfterResponse } from "../../wire/streams/end-stream.ts";
import { CodedError, toError, TurnaboutError } from "../../wire/errors.ts";
import {
  AGENT_ENDPOINT_PATH,
  CHECK_CREDENTIAL,
  ENDPOINT_RUNNER_PARAMETER,
  HEADER,
} from "../../wire/protocol.ts";
import { VERSION } from "../../wire/version.ts";
import { namesRunners, runnersNamed } from "../admission/endpoint-path.ts";
import type { PageRoutes } from "../page/page-routes.ts";
import { pageRoutes } from "../page/page-routes.ts";
import { ApiCallers } from "../auth/api-callers.ts";
import { authenticate } from "../auth/authenticate.ts";
import { checkCredential } from "../auth/credential-check.ts";
import { breakResponse, errorResponseFor } from "../listener/error-response.ts";
import { noteFailure, noteRequester } from "../records/request-record.ts";
import { traceRequest } from "../records/request-trace.ts";
import { requestIdOf } from "../trusted-proxies/request-id.ts";
import type { App } from "../router/router.ts";
import { boundJson, limitBody } from "./body-limit.ts";
import { auditRoutes } from "./access/audit.ts";
import { SIGN_IN_PATH, signInRoute, signInRoutes } from "./access/sign-in.ts";
import { tokenRoutes } from "./access/tokens.ts";
import type { AppContext, AppEnv } from "./context.ts";
import { diagnosisRoutes } from "./diagnosis.ts";
import { describeTargetRoutes } from "./target-paths.ts";
import { accessLogRoutes } from "./live/access-log.ts";
import { eventRoutes } from "./live/events.ts";
import { operationRoutes } from "./operations.ts";
import { historyRoutes } from "./recent/history.ts";
import { recentRequestRoutes } from "./recent/requests.ts";
import { runnerHistoryRoutes } from "./recent/runner-history.ts";
import { forbidSniffing, removeConnectionFields } from "./response-fields.ts";
import { runnerRoutes } from "./runners.ts";
import { REFUSED, SECURITY, SECURITY_SCHEMES } from "./schemas.ts";

/** Hono's path of middleware for all requests. */
const EVERY_PATH = "/*";

/** All routes, without the base path. */
export function createRoutes(context: AppContext, page: PageRoutes = pageRoutes()): OpenAPIHono<AppEnv> {
  const app = new OpenAPIHono<AppEnv>();
  let document: string | undefined;
  // Built once, when all resources are there: it takes longer than all else that anyone may request.
  const openApi = (): string =>
    (document ??= JSON.stringify(
      app.getOpenAPI31Document({
        openapi: "3.1.0",
        info: { title: "Turnabout control plane", version: VERSION },
        servers: [{ url: context.basePath === "" ? "/" : context.basePath }],
        security: SECURITY,
      }),
    ));
  app.use(removeConnectionFields);
  app.use(forbidSniffing);
  app.use(limitBody);
  app.route("/", operationRoutes(context, openApi));
  app.route("/", page.routes);
  for (const [name, scheme] of Object.entries(SECURITY_SCHEMES)) {
    app.openAPIRegistry.registerComponent("securitySchemes", name, scheme);
  }
  describeAgentEndpoint(app.openAPIRegistry);
  describeTargetRoutes(app.openAPIRegistry, context.targetRoutes);

  app.route("/", signInRoute(context));
  app.use("/api/*", async (c, next) => {
    const { incoming } = c.env;
    const { headers, url = "/" } = incoming;
    const client = context.trustedProxies.client(incoming);
    const identity = authenticate(
      {
        method: c.req.method,
        headers,
        url,
        isWebSocket: false,
        client,
      },
      context.tokens,
      context,
    );
    c.set("identity", identity);
    c.set("actor", { credential: identity.id, owner: identity.owner, client: client.address });
    const record = noteRequester(incoming, identity);
    if (record !== undefined) {
      traceRequest(record, headers, context.tracing, { path: record.path, scheme: client.scheme });
    }
    await next();
  });
  app.use("/api/*", boundJson(context));
  app.get(AGENT_ENDPOINT_PATH, async (c, next) => {
    if (c.req.header(HEADER.check) !== CHECK_CREDENTIAL) return next();
    const { url = "" } = c.env.incoming;
    c.header(HEADER.version, VERSION);
    c.header("cache-control", "no-store");
    return c.json(checkCredential(c.get("identity"), namesRunners(url) ? runnersNamed(url) : [], context));
  });
  for (const path of [AGENT_ENDPOINT_PATH, "/revdial"]) {
    app.all(path, () => {
      throw new TurnaboutError("upgrade_required", "agent endpoint: request without an upgrade");
    });
  }
  app.route("/api/v1/runners", runnerRoutes(context));
  app.route("/api/v1/runners", runnerHistoryRoutes(context));
  app.route("/api/v1", diagnosisRoutes(context));
  app.route("/api/v1/tokens", tokenRoutes(context));
  app.route(SIGN_IN_PATH, signInRoutes(context));
  app.route("/api/v1/events", eventRoutes(context));
  app.route("/api/v1/access-log", accessLogRoutes(context));
  app.route("/api/v1/requests", recentRequestRoutes(context));
  app.route("/api/v1/history", historyRoutes(context));
  app.route("/api/v1/audit", auditRoutes(context));
  for (const { path, routes } of context.resources) {
    if (!(routes instanceof OpenAPIHono)) {
      throw new TurnaboutError("config_invalid", `extension: the resource at ${path} is not an OpenAPIHono`);
    }
    app.route(path, routes);
  }
  app.notFound(() => {
    throw new TurnaboutError("not_found", "no such route");
  });
  const callers = new ApiCallers(context);
  app.onError((cause, c) => {
    const error = callers.refusal(fromHono(cause), c.env.incoming);
    const { requestId, status, headers, body } = errorResponseFor(
      error,
      "server",
      requestIdOf(c.env.incoming),
    );
    noteFailure(c.env.incoming, error);
    if (!(error instanceof CodedError)) {
      context.log.error({ err: error, requestId }, "request handler failed");
    }
    return new Response(body, { status, headers });
  });
  return app;
}

function describeAgentEndpoint(registry: OpenAPIHono["openAPIRegistry"]): void {
  registry.registerPath({
    method: "get",
    path: AGENT_ENDPOINT_PATH,
    operationId: "connectAgent",
    summary: "The agent endpoint: a request that becomes a tunnel connection",
    tags: ["agents"],
    security: [{ bearer: [] }],
    request: { query: z.object({ [ENDPOINT_RUNNER_PARAMETER]: z.string() }) },
    responses: { 101: { description: "Switched to ptth or websocket" }, ...REFUSED },
  });
}

export function createApp(context: AppContext): App {
  const page = pageRoutes();
  const app = createRoutes(context, page);
  // Other paths than those below the base path get the same kind of error.
  const root = context.basePath === "" ? app : new OpenAPIHono<AppEnv>().route(context.basePath, app);
  if (root !== app) {
    root.get(`${context.basePath}/`, page.document);
    root.notFound(() => errorResponse(new TurnaboutError("not_found", "not below the base path")));
    root.onError((cause) => errorResponse(fromHono(cause)));
  }
  const callers = new ApiCallers(context);
  const options = {
    overrideGlobalObjects: false,
    hostname: "localhost", // HTTP/1.0 health checks of load balancers have no Host
  };
  const onHttp1 = getRequestListener(root.fetch, options);
  // Hono's cleanup of an unread body would cut the response to a slow reader.
  const onHttp2 = getRequestListener(root.fetch, { ...options, autoCleanupIncoming: false });
  return {
    paths: app.routes.map(({ path }) => path).filter((path) => path !== EVERY_PATH),
    handle: (request, response) => {
      callers.admit(request);
      const isHttp2 = "stream" in request;
      if (isHttp2) closeAfterResponse(request.stream);
      callers.watch(request, response);
      (isHttp2 ? onHttp2 : onHttp1)(request, response).catch((error: unknown) => {
        context.log.error({ err: error }, "response could not be sent");
        breakResponse(request, response);
      });
    },
  };
}

function errorResponse(error: Error): Response {
  const { status, headers, body } = errorResponseFor(error);
  return new Response(body, { status, headers });
}

/** Hono's own exceptions (a body that is not JSON) are errors of the caller. */
function fromHono(cause: unknown): Error {
  if (cause instanceof HTTPException && cause.status < 500) {
    return new TurnaboutError("bad_request", cause.message, { details: [cause.message], cause });
  }
  return toError(cause);
}
