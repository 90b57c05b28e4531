/** Hostile targets against callers of every kind: every exchange ends, and nothing that was cut looks complete. */
import { fuzz } from "./fuzz.ts";

fuzz("hostile responses end one exchange each", new URL("exchanges.child.ts", import.meta.url), 400);
