/** `turnabout token`: a new token, and its entry for the token file, which holds only the hash. */
import { randomBytes } from "node:crypto";
import { parseArgs } from "node:util";
import { hashToken } from "../../control/auth/tokens.ts";
import { UsageError } from "../command.ts";
import type { Command } from "../command.ts";
import { requireFileName } from "../options.ts";
import { requirePatterns } from "./patterns.ts";
import { entryWriter, writeToken } from "./token-files.ts";

const HELP = `
usage: turnabout token --id NAME --kind KIND [--runner PATTERN]... [--target PATTERN]... [--add FILE] [--out FILE]

Creates a random token. Prints the token on the first line, and its entry for the "tokens" list of the token file on the
second; what is written to a file is not printed. The entry contains only a hash: the token cannot be recovered from it.

  --id NAME          name of the credential, for logs
  --kind KIND        runner (registers runners), user (reaches their targets) or admin (everything)
  --runner PATTERN   runner ids that it covers; * matches any characters; may be repeated. A user without a pattern
                     reaches only the sessions that it owns
  --target PATTERN   targets that a user may reach; default all; may be repeated
  --add FILE         add the entry to this token file of a control plane; created if it does not exist
  --out FILE         write the token to this new file, which only its owner can read
`;

export const token: Command = {
  name: "turnabout token",
  summary: "create a token and its entry for the token file",
  help: HELP,
  async run(args) {
    const { values } = parseArgs({
      args,
      options: {
        id: { type: "string" },
        kind: { type: "string" },
        runner: { type: "string", multiple: true, default: [] },
        target: { type: "string", multiple: true },
        add: { type: "string" },
        out: { type: "string" },
      },
    });
    const { id, kind, runner: runners, target: targets, add, out } = values;
    if (id === undefined || id === "" || id === "admin") {
      throw new UsageError("no valid id given", 'give --id NAME, other than "admin"');
    }
    if (kind !== "runner" && kind !== "user" && kind !== "admin") {
      throw new UsageError("no kind given", "give --kind runner, user or admin");
    }
    if (kind === "runner" && runners.length === 0)
      throw new UsageError("no runner given", "give --runner PATTERN");
    requirePatterns(runners, targets);
    if (add !== undefined) requireFileName(add, "--add");
    if (out !== undefined) requireFileName(out, "--out");
    const secret = `ta_${randomBytes(24).toString("base64url")}`;
    const record = {
      id,
      kind,
      sha256: hashToken(secret),
      runners,
      ...(targets !== undefined && { targets }),
    };
    const writeEntry = add === undefined ? undefined : entryWriter(add, record);
    // The token first: an entry whose token is lost would be of no use.
    if (out === undefined) process.stdout.write(`${secret}\n`);
    else writeToken(out, secret);
    if (writeEntry === undefined) process.stdout.write(`${JSON.stringify(record)}\n`);
    else writeEntry();
  },
};
