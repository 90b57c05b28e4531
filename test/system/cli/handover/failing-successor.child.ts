/** `turnabout`, but as a successor it ends as soon as it has got the store. */
import { main } from "../../../../src/cli/main.ts";

if (process.env["TURNABOUT_STARTED_BY"] === undefined) await main(process.argv.slice(2));
else {
  process.once("message", () => process.exit(3));
  process.send?.({ type: "prepared" });
}
