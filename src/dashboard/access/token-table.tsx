/** Issued tokens, and their revocation, which says before what it closes. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { call, callPath } from "../api/client.ts";
import type { Opened, Token } from "../api/types.ts";
import { Button } from "../parts/button.tsx";
import { Confirm } from "../parts/dialog.tsx";
import { now } from "../state/clock.ts";
import { useLoaded } from "../state/loaded.ts";
import { report } from "../state/toasts.ts";
import { ago, dateTime, NOTHING, plural } from "../text/format.ts";

const SHOWN_RUNNERS = 5;

export function TokenTable({
  tokens,
  onChange,
}: {
  tokens: readonly Token[];
  onChange: () => void;
}): JSX.Element {
  const [revoked, setRevoked] = useState<Token>();
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Tokens">
      <table>
        <thead>
          <tr>
            <th>Token</th>
            <th>Kind</th>
            <th>Owner</th>
            <th>Runners</th>
            <th>Targets</th>
            <th>Last use</th>
            <th>Expires</th>
            <th>Created</th>
            <th>
              <span class="visually-hidden">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {tokens.map((token) => (
            <tr key={token.id}>
              <td class="mono wrap">{token.id}</td>
              <td>{token.kind}</td>
              <td>{token.owner ?? NOTHING}</td>
              <td class="mono wrap">{token.runners.join(" ") || NOTHING}</td>
              <td class="mono wrap">{token.targets === null ? "all" : token.targets.join(" ")}</td>
              <td title={dateTime(token.last_used_at)}>{ago(token.last_used_at, now.value)}</td>
              <td title={dateTime(token.expires_at)}>
                {token.expires_at === null ? "never" : ago(token.expires_at, now.value)}
              </td>
              <td title={dateTime(token.created_at)}>{ago(token.created_at, now.value)}</td>
              <td>
                <Button label={`Revoke ${token.id}`} onPress={() => setRevoked(token)}>
                  Revoke…
                </Button>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {revoked !== undefined && (
        <Revocation token={revoked} onClose={() => setRevoked(undefined)} onDone={onChange} />
      )}
    </div>
  );
}

function Revocation({
  token: { id, kind },
  onClose,
  onDone,
}: {
  token: Token;
  onClose: () => void;
  onDone: () => void;
}): JSX.Element {
  const { value, error } = useLoaded(
    async () => (await callPath("get", "/api/v1/tokens/{id}/opened", { path: { id } })) as Opened,
    id,
  );
  const revoke = async (): Promise<void> => {
    await call("delete", "/api/v1/tokens/{id}", { path: { id } });
    report("ok", `${id} is revoked, and what it had open is closed`);
    onDone();
  };
  return (
    <Confirm title={`Revoke ${id}?`} action="Revoke" onClose={onClose} onConfirm={revoke}>
      <p>
        {value === undefined
          ? error === undefined
            ? "Counting what it has open…"
            : "Everything that it has open is closed."
          : openedText(value)}
      </p>
      <p>This cannot be undone: {kind === "runner" ? "its agents need" : "its user needs"} another token.</p>
    </Confirm>
  );
}

function openedText({
  streams,
  connections,
  sign_ins: signIns,
  runners,
  runner_count: runnerCount,
}: Opened): string {
  const parts = [
    plural(streams, "stream"),
    plural(connections, "tunnel connection"),
    plural(signIns, "sign-in"),
  ].join(", ");
  if (runnerCount === 0) return `It has open: ${parts}. They are closed.`;
  const named = runners.slice(0, SHOWN_RUNNERS).join(", ");
  const more = runnerCount > SHOWN_RUNNERS ? ` and ${runnerCount - SHOWN_RUNNERS} more` : "";
  return `It has open: ${parts}. They are closed, and these runners are lost: ${named}${more}.`;
}
