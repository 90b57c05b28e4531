/** Options of every long-running command. */
import { LOG_FORMATS, LOG_LEVELS } from "../logger.ts";
import type { OptionTable } from "./option.ts";

export type SharedOption = "watchdog" | "log-level" | "log-format";

export const SHARED_OPTIONS: OptionTable<SharedOption> = {
  watchdog: {
    kind: "seconds",
    value: "SECONDS",
    text: "end the process if its main thread is stuck for this long; 0 turns it off",
    default: 30,
  },
  "log-level": {
    kind: "choice",
    value: "LEVEL",
    text: "debug, info, warn, error or silent",
    choices: LOG_LEVELS,
    default: "info",
  },
  "log-format": {
    kind: "choice",
    value: "FORMAT",
    text: "pretty or json; default: pretty on a terminal, json elsewhere",
    choices: LOG_FORMATS,
  },
};
