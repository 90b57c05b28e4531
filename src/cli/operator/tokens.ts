/** `turnabout tokens`: tokens that the control plane issues. A secret is printed once. */
import type { ApiClient } from "../../clients/api/api-client.ts";
import type { Input, Output } from "../../clients/api/operations.ts";
import { TurnaboutError } from "../../wire/errors.ts";
import { UsageError } from "../command.ts";
import type { Command } from "../command.ts";
import { requirePatterns } from "../commands/patterns.ts";
import { formatTable, printable } from "../output/table.ts";
import { collect, programCommand } from "../program.ts";
import { withAccessOptions } from "../remote/access.ts";
import type { AccessOptions } from "../remote/access.ts";
import { named, print, withClient, withListingOptions } from "./with-client.ts";
import type { ListingOptions } from "./with-client.ts";

type NewToken = Input<"post", "/api/v1/tokens">["body"];
type Issued = Output<"post", "/api/v1/tokens">;
type Token = Output<"get", "/api/v1/tokens">["tokens"][number];

interface CreateOptions extends ListingOptions {
  kind: string;
  owner?: string;
  runner?: string[];
  target?: string[];
  expires?: string;
}

/** As the API has it. */
const TOKEN_ID = /^[A-Za-z0-9._@-]{1,128}$/;

const KINDS = ["admin", "user", "runner"] as const;

export const tokens: Command = programCommand(
  "tokens",
  "list, create, revoke and rotate tokens (admin)",
  (program) => {
    withListingOptions(program.command("list").description("issued tokens, without their secrets")).action(
      async (options: ListingOptions) => {
        const list = await withClient(options, (client) => client.call("get", "/api/v1/tokens", {}));
        print(list, options, ({ tokens: all }) =>
          all.length === 0
            ? "no issued tokens\n"
            : formatTable(
                ["ID", "KIND", "OWNER", "RUNNERS", "TARGETS", "CREATED", "EXPIRES", "LAST USED"],
                all.map(row),
              ),
        );
      },
    );

    withListingOptions(program.command("create").description("issue a token, and print its secret"))
      .argument("<id>", "name of the credential, for logs")
      .requiredOption("--kind <kind>", "runner (registers runners), user (reaches their targets) or admin")
      .option("--owner <user>", "the user that it stands for; default: the id")
      .option("--runner <pattern>", "runners that it covers; may be repeated", collect)
      .option("--target <pattern>", "targets that a user may reach; default all; may be repeated", collect)
      .option("--expires <time>", "valid for: 90s, 15m, 12h or 30d; default: without end")
      .action(async (id: string, options: CreateOptions) => {
        const { kind, owner, runner: runners = [], target: targets, expires } = options;
        requirePatterns(runners, targets);
        const body: NewToken = {
          id,
          kind: parseKind(kind),
          runners,
          ...(owner !== undefined && { owner }),
          ...(targets !== undefined && { targets }),
          ...(expires !== undefined && { expires_in_s: parseSpan(expires) }),
        };
        if (kind === "runner" && runners.length === 0)
          throw new UsageError(
            "no runner given: a token of kind runner covers some",
            "give --runner PATTERN, such as --runner 'host-*'; may be repeated",
          );
        const issued = await withClient(options, (client) => issue(client, body));
        print(issued, options, ({ token }: Issued) => `${token}\n`);
      });

    withAccessOptions(program.command("revoke").description("revoke a token, and close what it has open"))
      .argument("<id>")
      .action(async (id: string, options: AccessOptions) => {
        await withClient(options, (client) =>
          named(client.call("delete", "/api/v1/tokens/{id}", { path: { id } }), {
            what: `token ${JSON.stringify(id)}`,
            hint: "give its id, not its secret: `turnabout tokens list` lists the issued ones; a token file has its own",
          }),
        );
        process.stdout.write(`${id}: revoked\n`);
      });

    withListingOptions(
      program
        .command("rotate")
        .description(
          "issue a token in the place of another: the same rights and end, and a new id and secret",
        ),
    )
      .argument("<id>", "the token that is replaced; it stays valid until it is revoked")
      .argument("<new-id>", "id of the new one")
      .option("--revoke", "revoke the old one at once: what it has open is closed")
      .action(async (id: string, newId: string, options: ListingOptions & { revoke?: boolean }) => {
        const issued = await withClient(options, (client) =>
          rotate(client, id, newId, options.revoke === true),
        );
        print(issued, options, ({ token }: Issued) => `${token}\n`);
        if (options.revoke !== true)
          process.stderr.write(
            `${id} stays valid: when ${newId} is in use, \`turnabout tokens revoke ${id}\`\n`,
          );
      });
  },
);

/** The API's refusals speak of a resource and of a schema. */
async function issue(client: ApiClient, body: NewToken): Promise<Issued> {
  if (!TOKEN_ID.test(body.id))
    throw new UsageError(
      `${JSON.stringify(body.id)}: not an id of a token`,
      "use 1 to 128 of A-Z, a-z, 0-9, ., _, @ and -",
    );
  try {
    return await client.call("post", "/api/v1/tokens", { body });
  } catch (cause) {
    if (!(cause instanceof TurnaboutError) || cause.code !== "already_exists") throw cause;
    throw new TurnaboutError(cause.code, `token ${JSON.stringify(body.id)} exists already`, {
      cause,
      hint: "choose another id: issued tokens (`turnabout tokens list`) and those of the token file share them, and admin is reserved",
    });
  }
}

async function rotate(client: ApiClient, id: string, newId: string, revokes: boolean): Promise<Issued> {
  const { tokens: all } = await client.call("get", "/api/v1/tokens", {});
  const old = all.find((token) => token.id === id);
  if (old === undefined) {
    const hint =
      "`turnabout tokens list` lists the issued ones; one of a token file is replaced there: `turnabout token --id NEW … --add FILE`, then remove the old entry";
    throw new TurnaboutError("not_found", `no issued token ${JSON.stringify(id)}`, { hint });
  }
  if (old.session !== null) {
    throw new UsageError(`token ${id} belongs to session ${old.session}`, "it ends with that session");
  }
  const leftS = old.expires_at === null ? undefined : (Date.parse(old.expires_at) - Date.now()) / 1_000;
  if (leftS !== undefined && leftS < 1) {
    throw new UsageError(`token ${id} has expired`, "create a new one with `turnabout tokens create`");
  }
  const body: NewToken = {
    id: newId,
    kind: old.kind,
    runners: old.runners,
    ...(old.kind === "user" && old.owner !== null && { owner: old.owner }),
    ...(old.targets !== null && { targets: old.targets }),
    ...(leftS !== undefined && { expires_in_s: Math.floor(leftS) }),
  };
  const issued = await issue(client, body);
  if (revokes) await client.call("delete", "/api/v1/tokens/{id}", { path: { id } });
  return issued;
}

function row({
  id,
  kind,
  owner,
  runners,
  targets,
  created_at: created,
  expires_at: expires,
  last_used_at: used,
}: Token): string[] {
  return [
    printable(id),
    kind,
    printable(owner ?? "-"),
    runners.join(" ") || "-",
    targets === null ? "all" : targets.join(" "),
    created,
    expires ?? "never",
    used ?? "-",
  ];
}

function parseKind(value: string): (typeof KINDS)[number] {
  const kind = KINDS.find((each) => each === value);
  if (kind === undefined) throw new UsageError(`--kind ${value}: unknown kind`, "use runner, user or admin");
  return kind;
}

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600, d: 86_400 };

/** A hundred years, as the API has it. */
const MAX_EXPIRES_S = 3_153_600_000;

/** In seconds. */
function parseSpan(value: string): number {
  const [, number = "", unit = ""] = /^(\d{1,9})([smhd])$/.exec(value) ?? [];
  const seconds = Number(number) * (SECONDS[unit] ?? 0);
  if (seconds > 0 && seconds <= MAX_EXPIRES_S) return seconds;
  throw new UsageError(
    `--expires ${value}: not a time from 1s to ${MAX_EXPIRES_S / 86_400}d`,
    "use 90s, 15m, 12h or 30d",
  );
}
