/** `GET /api/v1/openapi-schema`: a description of the actual routes. */
import { json } from "../reply.ts";
import type { Routes } from "../router.ts";

const PATH = "/api/v1/openapi-schema";

export function schemaRoutes(groups: readonly Routes[]): Routes {
  const paths: Record<string, Record<string, object>> = {};
  for (const key of [...groups.flatMap((group) => Object.keys(group)), `GET ${PATH}`]) {
    const [method = "", path = ""] = key.split(" ");
    const operations = (paths[path] ??= {});
    operations[method.toLowerCase()] = { responses: { "200": { description: "OK" } } };
  }
  const schema = { openapi: "3.1.0", info: { title: "Wolf API", version: "0.1" }, paths };
  return { [`GET ${PATH}`]: () => json(schema) };
}
