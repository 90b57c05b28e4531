/** Tokens and the audit trail, for admins. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { call } from "../api/client.ts";
import { Button } from "../parts/button.tsx";
import { Search } from "../parts/field.tsx";
import { Empty, Failed, Loading } from "../parts/notice.tsx";
import { useLoaded } from "../state/loaded.ts";
import { hrefOf, route } from "../state/route.ts";
import { plural } from "../text/format.ts";
import { Audit } from "./audit.tsx";
import { NewTokenDialog } from "./new-token.tsx";
import { TokenTable } from "./token-table.tsx";

export function AccessView(): JSX.Element {
  const isAudit = route.value.rest[0] === "audit";
  return (
    <section class="view">
      <header class="view-head">
        <h1>Access</h1>
        <ul class="tabs">
          <li>
            <a href={hrefOf("access")} aria-current={isAudit ? undefined : "true"}>
              Tokens
            </a>
          </li>
          <li>
            <a href={hrefOf("access", ["audit"])} aria-current={isAudit ? "true" : undefined}>
              Audit
            </a>
          </li>
        </ul>
      </header>
      {isAudit ? <Audit /> : <Tokens />}
    </section>
  );
}

function Tokens(): JSX.Element {
  const [text, setText] = useState("");
  const [isCreating, setCreating] = useState(false);
  const { value, error, reload } = useLoaded(() => call("get", "/api/v1/tokens", {}), "tokens");
  if (value === undefined)
    return error === undefined ? (
      <Loading what="tokens" />
    ) : (
      <Failed what="The list of tokens" error={error} onRetry={reload} />
    );
  const wanted = text.toLowerCase();
  const shown = value.tokens.filter(({ id, owner, kind }) =>
    [id, owner ?? "", kind].some((part) => part.toLowerCase().includes(wanted)),
  );
  return (
    <>
      <div class="toolbar">
        <Search label="Search tokens" value={text} onInput={setText} />
        <span class="faint">{plural(value.tokens.length, "issued token")}</span>
        <Button kind="primary" onPress={() => setCreating(true)}>
          New token
        </Button>
      </div>
      {value.tokens.length === 0 ? (
        <Empty title="No token has been issued here">
          <p>Those of the token file are not listed. A new token is shown once, when it is made.</p>
        </Empty>
      ) : (
        <TokenTable tokens={shown} onChange={reload} />
      )}
      {isCreating && <NewTokenDialog onClose={() => setCreating(false)} onIssued={reload} />}
    </>
  );
}
