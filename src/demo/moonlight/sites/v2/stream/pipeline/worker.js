/** The decoders, away from the page: a module worker, which loads the page's own modules again. */
import { loadOpus } from "../../libopus/libopus.js";
import { describePipes } from "./pipes.js";

try {
  await loadOpus();
  postMessage(`${describePipes()} loaded`);
} catch (error) {
  postMessage(error.message);
}
