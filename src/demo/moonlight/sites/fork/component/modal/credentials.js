/** The prompt for the server's secret. */
import { askText } from "./form.js";

export function askCredentials() {
  return askText("Credentials", "password");
}
