/** Reads an object field by field: a field that does not match its schema is left out and named, and the others are kept. */
import { z } from "@hono/zod-openapi";
import { MAX_HEARTBEAT_COMPLAINTS } from "../limits.ts";

export class LenientFields {
  readonly #source: object;
  readonly #ignored: string[];
  readonly #path: string;

  constructor(source: object, ignored: string[], path = "") {
    this.#source = source;
    this.#ignored = ignored;
    this.#path = path;
  }

  /** Undefined where it is missing, null, or does not match. */
  take<T>(key: string, schema: z.ZodType<T>): T | undefined {
    const value = this.#get(key);
    return value === undefined ? undefined : this.#check(`${this.#path}${key}`, value, schema);
  }

  object(key: string): LenientFields | undefined {
    const value = this.#get(key);
    if (value === undefined) return undefined;
    if (isObject(value)) return new LenientFields(value, this.#ignored, `${this.#path}${key}.`);
    this.#ignore(`${this.#path}${key}: not an object`);
    return undefined;
  }

  /** The elements that `read` accepts. A list of which it accepts none counts as missing, unless the list is empty. */
  list<T>(
    key: string,
    max: number,
    read: (element: LenientFields, index: number) => T | undefined,
  ): T[] | undefined {
    const value = this.#get(key);
    if (value === undefined) return undefined;
    const path = `${this.#path}${key}`;
    if (!Array.isArray(value)) {
      this.#ignore(`${path}: not a list`);
      return undefined;
    }
    const elements: unknown[] = value.slice(0, max);
    if (value.length > max) this.#ignore(`${path}: only the first ${max} are used`);
    const accepted: T[] = [];
    for (const [index, element] of elements.entries()) {
      if (!isObject(element)) {
        this.#ignore(`${path}.${index}: not an object`);
        continue;
      }
      const found = read(new LenientFields(element, this.#ignored, `${path}.${index}.`), index);
      if (found !== undefined) accepted.push(found);
    }
    return elements.length > 0 && accepted.length === 0 ? undefined : accepted;
  }

  /** The whole object. */
  whole<T>(schema: z.ZodType<T>): T | undefined {
    return this.#check(this.#path.slice(0, -1), this.#source, schema);
  }

  #get(key: string): unknown {
    return (Object.getOwnPropertyDescriptor(this.#source, key)?.value as unknown) ?? undefined;
  }

  #check<T>(path: string, value: unknown, schema: z.ZodType<T>): T | undefined {
    const result = schema.safeParse(value);
    if (result.success) return result.data;
    const [issue] = result.error.issues;
    const inside = issue?.path[0];
    // Deeper names may be anything, a secret included.
    const where = schema instanceof z.ZodObject && inside !== undefined ? `${path}.${String(inside)}` : path;
    this.#ignore(`${where}: ${issue?.message ?? "does not fit"}`);
    return undefined;
  }

  #ignore(problem: string): void {
    if (this.#ignored.length < MAX_HEARTBEAT_COMPLAINTS) this.#ignored.push(problem);
  }
}

export function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
