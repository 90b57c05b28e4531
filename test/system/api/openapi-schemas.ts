/** The published document as a judge: whatever JSON the API answers has to fit it. */
import assert from "node:assert/strict";
import { Ajv2020 } from "ajv/dist/2020.js";
import type { ValidateFunction } from "ajv/dist/2020.js";
import { call } from "../../support/http.ts";

interface Response {
  content?: Record<string, { schema?: object }>;
}

export interface Operation {
  tags?: string[];
  security?: unknown[];
  responses: Record<string, Response>;
}

export interface OpenApiDocument {
  openapi: string;
  paths: Record<string, Record<string, Operation>>;
  components: Record<string, unknown>;
}

export interface Answered {
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

/** Is the answer's JSON what the document says of it? A route that it does not know is a failure too. */
export async function fits(url: string, answered: Answered, value: unknown): Promise<void> {
  judge ??= fetchDocument(url).then(createJudge);
  (await judge)(answered, value);
}

type Judge = (answered: Answered, value: unknown) => void;

/** The document is of the code, not of the system: one is enough for a test process. */
let judge: Promise<Judge> | undefined;

function createJudge(document: OpenApiDocument): Judge {
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  ajv.addSchema({ $id: "openapi", components: document.components });
  const compiled = new Map<object, ValidateFunction>();
  return ({ method, path, status }, value) => {
    const operation = findOperation(document, method, path);
    const response = operation?.responses[status] ?? operation?.responses["default"];
    // An unknown path has no entry, but its refusal has the shape of every other.
    const schema =
      operation === undefined && status === 404
        ? { $ref: "#/components/schemas/Error" }
        : response?.content?.["application/json"]?.schema;
    const name = `${method} ${path} ${status}`;
    if (schema === undefined) {
      assert.ok(isTargets(operation), `${name}: the document knows no such JSON: ${JSON.stringify(value)}`);
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

/** Answers of a target are its own. */
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

/** `{path}` is the rest, slashes included. */
function matcher(template: string): RegExp {
  const source = template
    .replaceAll(/[.]/g, String.raw`\.`)
    .replace("/{path}", "(?:/.*)?")
    .replaceAll(/\{\w+\}/g, "[^/]+");
  return new RegExp(`^${source}$`);
}
