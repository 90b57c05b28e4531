/** A JSON schema as a type that a reader knows: `{ id: string; targets?: string[] }`. */
import type { Schema } from "./document.ts";

/** Schemas deeper than this are of no use to a reader. */
const MAX_DEPTH = 8;
const INDENT = "  ";

export function schemaText(schema: Schema | undefined, depth = 0): string {
  if (schema === undefined) return "any";
  if (depth > MAX_DEPTH) return "…";
  if (schema.$ref !== undefined) return schema.$ref.replace(/^.*\//, "");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  const alternatives = schema.anyOf ?? schema.oneOf;
  if (alternatives !== undefined) return joined(alternatives, " | ", depth);
  if (schema.allOf !== undefined) return joined(schema.allOf, " & ", depth);
  if (Array.isArray(schema.type))
    return schema.type.map((type) => schemaText({ ...schema, type }, depth)).join(" | ");
  if (schema.type === "array") return arrayText(schema, depth);
  if (schema.type === "object" || schema.properties !== undefined) return objectText(schema, depth);
  return schema.type ?? "any";
}

function joined(schemas: readonly Schema[], separator: string, depth: number): string {
  return [...new Set(schemas.map((each) => schemaText(each, depth + 1)))].join(separator);
}

function arrayText({ items }: Schema, depth: number): string {
  const text = schemaText(items, depth + 1);
  return / [|&] /.test(text) && !text.startsWith("{") ? `(${text})[]` : `${text}[]`;
}

function objectText({ properties = {}, required = [], additionalProperties }: Schema, depth: number): string {
  const inner = INDENT.repeat(depth + 1);
  const lines = Object.entries(properties).map(([name, property]) => {
    const mark = required.includes(name) ? "" : "?";
    const comment = property.description === undefined ? "" : ` // ${property.description}`;
    return `${inner}${name}${mark}: ${schemaText(property, depth + 1)};${comment}`;
  });
  if (typeof additionalProperties === "object")
    lines.push(`${inner}[name: string]: ${schemaText(additionalProperties, depth + 1)};`);
  if (lines.length === 0) return "object";
  return `{\n${lines.join("\n")}\n${INDENT.repeat(depth)}}`;
}
