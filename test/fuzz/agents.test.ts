/** Hostile agents against the control plane: frames, `/hello`, `/events` and responses that no agent sends. */
import { fuzz } from "./fuzz.ts";

fuzz("a hostile agent harms itself alone", new URL("agents.child.ts", import.meta.url), 60);
