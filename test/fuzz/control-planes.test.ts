/** Hostile control planes against the agent: responses to its dial, frames, requests, notices, GOAWAY. */
import { fuzz } from "./fuzz.ts";

fuzz(
  "a hostile control plane harms its own connection alone",
  new URL("control-planes.child.ts", import.meta.url),
  80,
);
