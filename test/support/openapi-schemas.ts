/** Checks the JSON of the API's responses against the published document. */
import assert from "node:assert/strict";
import { Ajv2020 } from "ajv/dist/2020.js";
import type { ValidateFunction } from "ajv/dist/2020.js";
import { call } from "./http.ts";

interface Response {
  content?: Record<string, { schema?: object }>;
}

export interface Operation {
  operationId?: string;
  tags?: string[];
  security?: unknown[];
  responses: Record<string, Response>;
}

export interface OpenApiDocument {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
  components: Record<string, unknown>;
}

export interface ApiResponse {
  method: string;
  /** Path and query. */
  path: string;
  status: number;
}

export async function fetchDocument(url: string): Promise<OpenApiDocument> {
  const { status, body } = await call(`${url}/openapi.json`, { token: null });
  assert.equal(status, 200);
  return JSON.parse(body) as OpenApiDocument;
}

/** Fails if the JSON does not match its schema in the document, or if the document does not have the route. */
export async function assertMatchesDocument(
  url: string,
  response: ApiResponse,
  value: unknown,
): Promise<void> {
  check ??= fetchDocument(url).then(createCheck);
  (await check)(response, value);
}

type Check = (response: ApiResponse, value: unknown) => void;

/** All systems of a test process have the same routes, so one document is enough. */
let check: Promise<Check> | undefined;

function createCheck(document: OpenApiDocument): Check {
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  ajv.addSchema({ $id: "openapi", components: document.components });
  const compiled = new Map<object, ValidateFunction>();
  return ({ method, path, status }, value) => {
    const operation = findOperation(document, method, path);
    const response = operation?.responses[status] ?? operation?.responses["default"];
    // A path without an entry gets an error of the same schema as any other.
    const schema =
      operation === undefined && status === 404
        ? { $ref: "#/components/schemas/Error" }
        : response?.content?.["application/json"]?.schema;
    const name = `${method} ${path} ${status}`;
    if (schema === undefined) {
      assert.ok(isTargets(operation), `${name}: the document has no schema for: ${JSON.stringify(value)}`);
      return;
    }
    let validate = compiled.get(schema);
    if (validate === undefined) {
      const text = JSON.stringify(schema).replaceAll('"#/components/', '"openapi#/components/');
      validate = ajv.compile(JSON.parse(text) as object);
      compiled.set(schema, validate);
    }
    assert.ok(validate(value), `${name}: ${ajv.errorsText(validate.errors)}: ${JSON.stringify(value)}`);
  };
}

/** The document does not describe what targets return. */
function isTargets(operation: Operation | undefined): boolean {
  return operation?.tags?.some((tag) => ["targets", "sandbox", "moonlight"].includes(tag)) === true;
}

export function findOperation(
  document: OpenApiDocument,
  method: string,
  path: string,
): Operation | undefined {
  const [plain = ""] = path.split("?", 1);
  return Object.entries(document.paths)
    .filter(([template]) => matcher(template).test(plain))
    .toSorted(([a], [b]) => a.split("{").length - b.split("{").length)
    .map(([, operations]) => operations[method.toLowerCase()])
    .find((operation) => operation !== undefined);
}

/** `{path}` matches any number of segments. */
function matcher(template: string): RegExp {
  const source = template
    .replaceAll(/[.]/g, String.raw`\.`)
    .replace("/{path}", "(?:/.*)?")
    .replaceAll(/\{\w+\}/g, "[^/]+");
  return new RegExp(`^${source}$`);
}
