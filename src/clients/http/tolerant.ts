/**
 * Schemas for responses of services that others release. What a newer version adds is kept (`z.looseObject`), and what it
 * widens does not fail the call: an id may be a number or a text, a member may be null, or of a kind that is not known here.
 */
import { z } from "zod";

/** Ids are texts; one that arrives as a number becomes a text with all its digits (see `parseJson`). */
export const idSchema: z.ZodType<string> = z.union([z.string(), z.number()]).transform(String);

/** A count or a size, as a number. */
export const countSchema: z.ZodType<number> = z
  .union([z.number(), z.string().regex(/^-?\d+$/)])
  .transform(Number);

/** A member that may be absent: null, and a value that the schema does not know, count as absent. */
export function optional<T>(schema: z.ZodType<T>): z.ZodType<T | undefined> {
  return z
    .union([schema, z.null().transform(() => undefined)])
    .optional()
    .catch(undefined);
}

/** The same, where null has a meaning of its own. */
export function nullable<T>(schema: z.ZodType<T>): z.ZodType<T | null | undefined> {
  return schema.nullish().catch(undefined);
}

/** A list that may be null while it is empty. */
export function listOf<T>(schema: z.ZodType<T>): z.ZodType<T[]> {
  return z
    .array(schema)
    .nullable()
    .transform((list) => list ?? []);
}

/** A variant as Rust's serde writes it: `"Busy"`, or `{"Busy":{…}}` once a newer version has added data to it. */
export interface Variant {
  name: string;
  /** Undefined without data. */
  value: unknown;
}

/** Undefined for what is no variant. */
export function variantOf(value: unknown): Variant | undefined {
  if (typeof value === "string") return { name: value, value: undefined };
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const [[name, content] = ["", undefined]] = Object.entries(value);
  return name === "" ? undefined : { name, value: content };
}

/** The name of a variant. */
export const variantSchema: z.ZodType<string> = z.unknown().transform((value, context) => {
  const variant = variantOf(value);
  if (variant !== undefined) return variant.name;
  context.addIssue({ code: "custom", message: "expected a variant: a name, or an object with one" });
  return z.NEVER;
});
