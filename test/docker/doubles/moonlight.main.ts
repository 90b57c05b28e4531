/** Moonlight Web's double in Moonlight Web's place. */
import { readFileSync } from "node:fs";
import { createMoonlightDouble } from "../../../src/demo/moonlight/double.ts";

const {
  MOONLIGHT_PORT: port = "8080",
  MOONLIGHT_CREDENTIALS_FILE: file = "/run/secrets/moonlight_credentials",
} = process.env;
const credentials = readFileSync(file, "utf8").trim();
const moonlight = await createMoonlightDouble({ host: "127.0.0.1", port: Number(port), credentials });
console.error(`moonlight: listens on ${moonlight.port}`);

const end = (): void => {
  moonlight.close().then(
    () => process.exit(0),
    () => process.exit(1),
  );
};
process.on("SIGTERM", end);
process.on("SIGINT", end);
