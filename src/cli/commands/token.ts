/** `turnabout token`: a new token, and its entry for the token file, which holds only the hash. */
import { randomBytes } from "node:crypto";
import { parseArgs } from "node:util";
import { hashToken } from "../../control/auth/tokens.ts";
import { UsageError } from "../command.ts";
import type { Command } from "../command.ts";

const HELP = `
usage: turnabout token --id NAME --kind KIND [--runner PATTERN]... [--target PATTERN]...

Makes a random token. Standard output gets the token on its first line and the entry for the "tokens" list of the
token file on its second. The file holds only the hash: the token cannot be read out of it again.

  --id NAME          name of the credential, for logs
  --kind KIND        runner (registers runners), user (dials them) or admin (everything)
  --runner PATTERN   runner ids that it is for; * stands for any characters; may be repeated; a user without any
                     reaches the sessions that it owns, and nothing else
  --target PATTERN   targets that a user may dial; default all; may be repeated
`;

export const token: Command = {
  name: "turnabout token",
  summary: "make a token and its entry for the token file",
  help: HELP,
  async run(args) {
    const { values } = parseArgs({
      args,
      options: {
        id: { type: "string" },
        kind: { type: "string" },
        runner: { type: "string", multiple: true, default: [] },
        target: { type: "string", multiple: true },
      },
    });
    const { id, kind, runner: runners, target: targets } = values;
    if (id === undefined || id === "" || id === "admin") {
      throw new UsageError("no usable id", 'give --id NAME, other than "admin"');
    }
    if (kind !== "runner" && kind !== "user" && kind !== "admin") {
      throw new UsageError("no kind", "give --kind runner, user or admin");
    }
    if (kind === "runner" && runners.length === 0) throw new UsageError("no runner", "give --runner PATTERN");
    const secret = `ta_${randomBytes(24).toString("base64url")}`;
    const record = {
      id,
      kind,
      sha256: hashToken(secret),
      runners,
      ...(targets !== undefined && { targets }),
    };
    process.stdout.write(`${secret}\n${JSON.stringify(record)}\n`);
  },
};
