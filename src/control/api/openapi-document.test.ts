import assert from "node:assert/strict";
import { it } from "node:test";
import { Access } from "../auth/access.ts";
import { createRoutes } from "./app.ts";
import type { AppContext } from "./context.ts";

it("builds the OpenAPI document once, however often it is requested", async () => {
  const context: Partial<AppContext> = {
    access: new Access(),
    basePath: "",
    targetRoutes: [],
    resources: [],
    owned: {},
  };
  const app = createRoutes(context as AppContext);
  const { definitions } = app.openAPIRegistry;
  let built = 0;
  Object.defineProperty(app.openAPIRegistry, "definitions", {
    get: () => {
      built += 1;
      return definitions;
    },
  });
  const incoming = { httpVersionMajor: 1, headers: {} };
  const documents: string[] = [];
  for (let n = 0; n < 3; n += 1) {
    const response = await app.request("/openapi.json", {}, { incoming });
    assert.equal(response.headers.get("content-type"), "application/json");
    documents.push(await response.text());
  }
  assert.equal(built, 1);
  assert.equal(new Set(documents).size, 1);
  assert.match(documents[0] ?? "", /"openapi":"3.1.0"/);
});
