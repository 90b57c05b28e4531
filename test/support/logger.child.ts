/** Logs what nobody should log: `logger.child.ts FORMAT SECRET`. */
import { createLogger } from "../../src/cli/logger.ts";

const [format, secret = ""] = process.argv.slice(2);
const log = createLogger({ format });
log.info(
  {
    token: secret,
    authorization: `Bearer ${secret}`,
    cookie: secret,
    password: secret,
    key: secret,
    headers: { authorization: `Bearer ${secret}`, "proxy-authorization": secret, host: "visible" },
    config: { token: secret, secret },
  },
  "a careless line",
);
