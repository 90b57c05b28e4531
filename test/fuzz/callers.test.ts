/** Hostile callers at the public port: HTTP/1.1, HTTP/2, TLS, upgrades and PROXY headers that went wrong. */
import { fuzz } from "./fuzz.ts";

fuzz("a hostile caller harms itself alone", new URL("callers.child.ts", import.meta.url), 400);
