/** Reads the fields of a JSON request. The error texts are those of Wolf's JSON library. */
export type JsonObject = { [name: string]: unknown };

/** A request that cannot be parsed; the router responds `500 {"success":false,"error":…}`. */
export class FieldError extends Error {
  override readonly name = "FieldError";
}

export function parseObject(body: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    throw new FieldError("Could not parse document");
  }
  if (!isObject(value)) throw new FieldError("Could not cast to an object.");
  return value;
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function text(from: JsonObject, name: string): string {
  const value = required(from, name);
  if (typeof value !== "string")
    throw new FieldError(`Failed to parse field '${name}': Could not cast to string.`);
  return value;
}

export function flag(from: JsonObject, name: string): boolean {
  const value = required(from, name);
  if (typeof value !== "boolean")
    throw new FieldError(`Failed to parse field '${name}': Could not cast to boolean.`);
  return value;
}

export function object(from: JsonObject, name: string): JsonObject {
  const value = required(from, name);
  if (!isObject(value)) throw new FieldError(`Failed to parse field '${name}': Could not cast to an object.`);
  return value;
}

export function textOr<T>(from: JsonObject, name: string, otherwise: T): string | T {
  const value = from[name];
  return typeof value === "string" ? value : otherwise;
}

export function numberOr(from: JsonObject, name: string, otherwise: number): number {
  const value = from[name];
  return typeof value === "number" ? value : otherwise;
}

function required(from: JsonObject, name: string): unknown {
  const value = from[name];
  if (value === undefined) throw new FieldError(`Field named '${name}' not found.`);
  return value;
}
