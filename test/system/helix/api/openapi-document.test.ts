import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { afterEach, describe, it } from "node:test";
import { Validator } from "@seriousme/openapi-schema-validator";
import { Access } from "../../../../src/control/auth/access.ts";
import type { RunnerGroups } from "../../../../src/control/auth/access.ts";
import { createRoutes } from "../../../../src/control/api/app.ts";
import type { AppContext } from "../../../../src/control/api/context.ts";
import type { ControlPlaneOptions } from "../../../../src/control/control-plane.ts";
import { helix } from "../../../../src/helix/helix.ts";
import { helixResources } from "../../../../src/helix/api/resources.ts";
import type { HelixApiContext } from "../../../../src/helix/api/resources.ts";
import { call, errorCode } from "../../../support/http.ts";
import { assertNothingOpen } from "../../../support/nothing-open.ts";
import { startSystem } from "../../../support/system.ts";
import type { System } from "../../../support/system.ts";
import { fetchDocument } from "../../../support/openapi-schemas.ts";
import { api } from "../../../support/api.ts";

afterEach(() => assertNothingOpen());

function startWithHelix(options: ControlPlaneOptions = {}): Promise<System> {
  return startSystem({ agents: 0, controlPlane: { extensions: [helix()], ...options } });
}

describe("/openapi.json", () => {
  it("is a valid OpenAPI 3.1 document", async () => {
    await using system = await startWithHelix();
    const document = await fetchDocument(system.url);
    const validator = new Validator();
    const { valid, errors } = await validator.validate(document as unknown as Record<string, unknown>);
    assert.ok(valid, JSON.stringify(errors));
    assert.equal(validator.version, "3.1");
  });

  it("gives every operation a summary, a tag, and its path parameters", async () => {
    await using system = await startWithHelix();
    const { paths } = await fetchDocument(system.url);
    for (const [path, operations] of Object.entries(paths)) {
      const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      for (const [method, operation] of Object.entries(operations)) {
        const {
          summary,
          tags,
          parameters = [],
        } = operation as {
          summary?: string;
          tags?: string[];
          parameters?: { in: string; name: string }[];
        };
        assert.ok(summary !== undefined && tags?.length === 1, `${method} ${path}`);
        const described = parameters.filter((one) => one.in === "path").map(({ name }) => name);
        assert.deepEqual(described, names, `${method} ${path}`);
      }
    }
  });

  it("describes where a credential is accepted", async () => {
    await using system = await startWithHelix();
    const { paths, components, ...document } = await fetchDocument(system.url);
    const { securitySchemes } = components as {
      securitySchemes: Record<string, { in?: string; name?: string }>;
    };
    const places = Object.values(securitySchemes).map(
      (one) => `${one.in ?? "Authorization"} ${one.name ?? ""}`,
    );
    assert.deepEqual(places, [
      "Authorization ",
      "header X-Api-Key",
      "cookie access_token",
      "query access_token",
    ]);
    const schemes = (security: unknown): string =>
      (security as object[]).flatMap((one) => Object.keys(one)).join(" ");
    const everywhere = schemes((document as { security?: unknown }).security);
    assert.equal(everywhere, "bearer apiKey cookie");
    for (const [path, operations] of Object.entries(paths)) {
      for (const [method, operation] of Object.entries(operations)) {
        const { security, responses } = operation;
        const isSocket = Object.hasOwn(responses, "101") && path !== "/api/v1/revdial";
        const own: string = security === undefined ? everywhere : schemes(security);
        const isPublic = ["/", "/page/{file}", "/healthz", "/readyz", "/openapi.json", "/docs"].includes(
          path,
        );
        const isForPrograms = ["/metrics", "/api/v1/revdial"].includes(path);
        const isSignIn = method === "post" && path === "/api/v1/sign-in";
        const expected: string =
          isPublic || isSignIn
            ? ""
            : isForPrograms
              ? "bearer"
              : isSocket
                ? `${everywhere} parameter`
                : everywhere;
        assert.equal(own, expected, `${method} ${path}`);
      }
    }
  });

  it("describes the fields and the responses of routes to targets", async () => {
    await using system = await startWithHelix();
    const { paths } = await fetchDocument(system.url);
    const described = new Map<string, string>();
    for (const [path, operations] of Object.entries(paths)) {
      for (const [method, operation] of Object.entries(operations)) {
        if (!["targets", "sandbox", "moonlight"].includes(operation.tags?.[0] ?? "")) continue;
        described.set(`${method} ${path}`, Object.keys(operation.responses).join(" "));
        const { parameters = [] } = operation as { parameters?: { in: string; name: string }[] };
        const fields = parameters.filter((one) => one.in === "header").map(({ name }) => name);
        assert.deepEqual(fields, ["Prefer", "Turnabout-Timeout"], `${method} ${path}`);
      }
    }
    assert.equal(described.get("get /moonlight/{path}"), "101 200 default");
    assert.equal(described.get("post /moonlight/{path}"), "200 default");
    assert.equal(described.get("get /api/v1/stream/{session}"), "101 default");
    assert.equal(described.get("head /api/v1/external-agents/{session}/screenshot"), "200 default");
    assert.ok(
      [...described.values()].every((one) => /^(101 )?(200 )?default$/.test(one) && one !== "default"),
    );
  });

  it("has every route of the code", async () => {
    await using system = await startWithHelix();
    const { paths } = await fetchDocument(system.url);
    // The context is not used before a request arrives.
    const resources = helixResources({} as HelixApiContext);
    const access = new Access();
    access.add({ name: "session" } as RunnerGroups);
    const context: Partial<AppContext> = { access, basePath: "", targetRoutes: [], resources, owned: {} };
    const { routes } = createRoutes(context as AppContext);
    const middleware = routes.filter(({ method }) => method === "ALL").map(({ path }) => path);
    const forEveryMethod = [
      "/*",
      "/api/*",
      "/api/v1/revdial",
      "/revdial",
      "/api/v1/tokens/*",
      "/api/v1/requests/*",
    ];
    assert.deepEqual([...new Set(middleware)], forEveryMethod, "only the agent endpoint serves all methods");
    const registered = routes
      .filter(({ method }) => method !== "ALL") // middleware, and the agent endpoint without an upgrade
      .map(({ method, path }) => `${method.toLowerCase()} ${path.replaceAll(/:(\w+)/g, "{$1}")}`);
    const described = Object.entries(paths).flatMap(([path, operations]) =>
      Object.keys(operations).map((method) => `${method} ${path}`),
    );
    assert.ok(registered.length >= 20, registered.join(", "));
    assert.deepEqual(
      registered.filter((route) => !described.includes(route)),
      [],
    );
  });

  it("names the base path, and nothing else is served", async () => {
    await using system = await startWithHelix({ basePath: "/turnabout/" });
    const { body, status } = await call(`${system.url}/turnabout/openapi.json`, { token: null });
    assert.equal(status, 200);
    assert.deepEqual((JSON.parse(body) as { servers: unknown }).servers, [{ url: "/turnabout" }]);
    assert.equal((await call(`${system.url}/turnabout/api/v1/sessions`)).status, 200);
    assert.equal((await call(`${system.url}/turnabout/api/v1/sessions`, { token: null })).status, 401);
    for (const path of ["/api/v1/sessions", "/openapi.json", "/turnaboutx/healthz", "/"]) {
      const response = await call(`${system.url}${path}`);
      assert.deepEqual([response.status, errorCode(response)], [404, "not_found"], path);
    }
  });

  it("matches what the API returns: runners, readiness and errors", async () => {
    await using system = await startSystem({ controlPlane: { extensions: [helix()] } });
    const ok = async (path: string): Promise<unknown> => {
      const { status, body } = await api(system.url, "GET", path);
      assert.equal(status, 200, path);
      return body;
    };
    await ok("/api/v1/runners");
    await ok("/api/v1/runners/runner-1");
    const { rttMs } = (await ok("/api/v1/runners/runner-1/ping")) as { rttMs: number };
    assert.ok(rttMs >= 0);
    await ok("/readyz");
    await ok("/openapi.json");
    for (const [method, path, status, code] of [
      ["GET", "/api/v1/runners/unknown", 404, "runner_unknown"],
      ["DELETE", "/api/v1/runners/unknown", 404, "runner_unknown"],
      ["GET", "/api/v1/revdial", 426, "upgrade_required"],
      ["GET", "/api/v1/sessions/ses_x", 404, "session_unknown"],
      ["GET", "/api/v1/nowhere", 404, "not_found"],
      ["PATCH", "/api/v1/sessions", 404, "not_found"],
    ] as const) {
      const response = await api(system.url, method, path);
      assert.deepEqual([response.status, response.code], [status, code], path);
    }
    const large = await api(system.url, "POST", "/api/v1/sessions", { json: { name: "x".repeat(2 ** 20) } });
    assert.deepEqual([large.status, large.code], [413, "payload_too_large"]);
    const chunked = await api(system.url, "POST", "/api/v1/sessions", {
      body: "{}",
      headers: { "transfer-encoding": "chunked", "content-type": "application/json" },
    });
    assert.deepEqual([chunked.status, chunked.code], [411, "length_required"]);
  });
});

describe("/docs", () => {
  it("has every operation, and loads, runs and embeds nothing", async () => {
    await using system = await startWithHelix({ basePath: "/turnabout" });
    const page = await call(`${system.url}/turnabout/docs`, { token: null });
    assert.deepEqual([page.status, page.headers["content-type"]], [200, "text/html; charset=utf-8"]);
    const { paths } = await fetchDocument(`${system.url}/turnabout`);
    const operations = Object.values(paths).flatMap((methods) => Object.values(methods));
    assert.ok(operations.length > 40, `${operations.length}`);
    for (const { operationId = assert.fail("no operationId") } of operations as { operationId?: string }[]) {
      assert.ok(page.body.includes(`<section id="${operationId}">`), operationId);
      assert.ok(page.body.includes(`href="#${operationId}"`), operationId);
    }
    assert.doesNotMatch(page.body, /<script|<link|<img|<iframe|<form| on[a-z]+=| style=/i);
    assert.deepEqual(
      [...page.body.matchAll(/(?:href|src)="([^"#][^"]*)"/g)].map(([, address]) => address),
      ["openapi.json"],
    );
    const [, style = ""] = /<style>([^]*)<\/style>/.exec(page.body) ?? [];
    const hash = createHash("sha256").update(style).digest("base64");
    assert.equal(
      page.headers["content-security-policy"],
      `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
    );
    assert.ok(page.body.length < 256 * 1024, `${page.body.length} bytes`);
  });
});
