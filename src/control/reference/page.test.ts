import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ApiDocument } from "./document.ts";
import { referencePage } from "./page.ts";
import { schemaText } from "./schema-text.ts";

const HOSTILE = `"><script>alert('x')</script>&`;
const ESCAPED = "&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;";

describe("the page of the API", () => {
  it("escapes whatever a document contains", async () => {
    const schema = { type: "object", properties: { [HOSTILE]: { enum: [HOSTILE], description: HOSTILE } } };
    const document: ApiDocument = {
      info: { title: HOSTILE, version: HOSTILE },
      servers: [{ url: HOSTILE }],
      security: [{ [HOSTILE]: [] }],
      paths: {
        [HOSTILE]: {
          get: {
            operationId: HOSTILE,
            summary: HOSTILE,
            description: HOSTILE,
            tags: [HOSTILE],
            parameters: [{ name: HOSTILE, in: HOSTILE, description: HOSTILE, schema }],
            requestBody: { content: { [HOSTILE]: { schema } } },
            responses: { [HOSTILE]: { description: HOSTILE, content: { [HOSTILE]: { schema } } } },
          },
        },
      },
      components: { schemas: { [HOSTILE]: schema } },
    };
    const page = await referencePage(document);
    assert.doesNotMatch(page, /<script/);
    assert.doesNotMatch(page, /alert\('/);
    assert.ok(page.split(ESCAPED).length > 15, page);
  });

  it("shows an operation with its parameters, bodies and responses", async () => {
    const page = await referencePage({
      info: { title: "T", version: "1" },
      paths: {
        "/a/{id}": {
          post: {
            operationId: "createA",
            summary: "Makes an A",
            tags: ["as"],
            parameters: [{ name: "id", in: "path", required: true, schema: { type: "string" } }],
            requestBody: { content: { "application/json": { schema: { $ref: "#/components/schemas/A" } } } },
            responses: { 201: { description: "It was made" } },
          },
        },
      },
    });
    for (const text of ["createA", "Makes an A", "/a/{id}", "POST", "It was made", "no credential"])
      assert.ok(page.includes(text), text);
    assert.match(page, /<pre>A<\/pre>/);
  });
});

describe("a schema as text", () => {
  for (const [schema, text] of [
    [{ type: "string" }, "string"],
    [{ type: ["string", "null"] }, "string | null"],
    [{ enum: ["a", 1] }, '"a" | 1'],
    [{ const: true }, "true"],
    [{ type: "array", items: { type: ["string", "number"] } }, "(string | number)[]"],
    [{ anyOf: [{ $ref: "#/components/schemas/A" }, { type: "null" }] }, "A | null"],
    [{ allOf: [{ $ref: "#/x/A" }, { $ref: "#/x/B" }] }, "A & B"],
    [{}, "any"],
    [{ type: "object" }, "object"],
    [
      {
        type: "object",
        properties: { a: { type: "string", description: "why" }, b: { type: "integer" } },
        required: ["a"],
      },
      "{\n  a: string; // why\n  b?: integer;\n}",
    ],
    [{ type: "object", additionalProperties: { type: "string" } }, "{\n  [name: string]: string;\n}"],
  ] as const)
    it(text.split("\n").join(" "), () => assert.equal(schemaText(structuredClone(schema) as object), text));

  it("ends in a schema that contains itself", () => {
    const self: { type: string; items?: object } = { type: "array" };
    self.items = self;
    assert.match(schemaText(self), /^…(\[\])+$/);
  });
});
