/**
 * The same session with Wolf's side on another host behind NAT, and its sandbox a level deeper behind another NAT, as
 * in the design: the kernel counts that no connection is opened inwards.
 */
import { test } from "node:test";
import { aloneCannot, runAlone } from "./alone.ts";

const skip = aloneCannot("sway", "swaybg", "grim", "wl-copy", "foot", "chromium", "nft", "nsenter", "sysctl");

test("a session behind two NATs, with no connection towards the inside", { skip }, (t) =>
  runAlone(t, "behind-nat.child.ts"),
);
