/** Where the engine listens: `unix:///var/run/docker.sock` or `tcp://host:port`. */
import { TurnaboutError } from "../../wire/errors.ts";
import { parseTargetAddress } from "../targets/targets.ts";
import type { TargetAddress } from "../targets/targets.ts";

/** @throws TurnaboutError `config_invalid` with the offending text */
export function parseEngineUrl(text: string): TargetAddress {
  if (/^(unix:|tcp:\/\/|http:\/\/)/.test(text)) {
    try {
      return parseTargetAddress(text);
    } catch {
      // Reported below, with the syntax of this option.
    }
  }
  throw new TurnaboutError(
    "config_invalid",
    `docker engine ${JSON.stringify(text)}: use unix:///var/run/docker.sock or tcp://HOST:PORT`,
  );
}
