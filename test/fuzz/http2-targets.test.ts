/** HTTP/2 targets that send garbage: every exchange ends, and the target's neighbour goes on. */
import { fuzz } from "./fuzz.ts";

fuzz(
  "an HTTP/2 target harms its own exchanges alone",
  new URL("http2-targets.child.ts", import.meta.url),
  150,
);
