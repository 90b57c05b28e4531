/** Ids of hosts and apps. */
import { z } from "zod";

/** A number in all versions so far. */
export type MoonlightId = number | string;

export const moonlightIdSchema: z.ZodType<MoonlightId> = z.union([z.number(), z.string()]);
