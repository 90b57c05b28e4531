/** Who has done what, newest first. */
import type { JSX } from "preact";
import { callPath } from "../api/client.ts";
import type { AuditEntry } from "../api/types.ts";
import { Button } from "../parts/button.tsx";
import { Empty, Failed, Loading } from "../parts/notice.tsx";
import { useLoaded } from "../state/loaded.ts";
import { dateTime } from "../text/format.ts";

const REFRESH_MS = 10_000;

const ACTIONS: Readonly<Record<string, string>> = {
  "token-issued": "issued the token",
  "token-revoked": "revoked the token",
  "user-tokens-revoked": "revoked all tokens of",
  "runner-kicked": "kicked the runner",
  "sign-in": "signed in",
  "sign-out": "signed out",
  "session-stopped": "stopped the session",
};

export function Audit(): JSX.Element {
  const { value, error, reload } = useLoaded(
    async () => (await callPath("get", "/api/v1/audit")) as { entries: AuditEntry[] },
    "audit",
    REFRESH_MS,
  );
  if (value === undefined)
    return error === undefined ? (
      <Loading what="the audit trail" />
    ) : (
      <Failed what="The audit trail" error={error} onRetry={reload} />
    );
  if (value.entries.length === 0)
    return (
      <Empty title="Nothing has been done yet">
        <p>Sign-ins, tokens, kicks and stopped sessions are listed here.</p>
      </Empty>
    );
  return (
    <>
      <div class="toolbar">
        <span class="faint">Newest first, as far as the control plane keeps them.</span>
        <Button onPress={reload}>Reload</Button>
      </div>
      <div class="scroll" tabIndex={0} role="region" aria-label="Audit trail">
        <table>
          <thead>
            <tr>
              <th>Time</th>
              <th>Credential</th>
              <th>What</th>
              <th>Subject</th>
              <th>From</th>
              <th>Details</th>
            </tr>
          </thead>
          <tbody>
            {value.entries.map(({ seq, time, credential, action, subject, client, details = {} }) => (
              <tr key={seq}>
                <td>{dateTime(time)}</td>
                <td>{credential}</td>
                <td>{ACTIONS[action] ?? action}</td>
                <td class="mono wrap">{subject}</td>
                <td class="mono">{client}</td>
                <td class="faint wrap">
                  {Object.entries(details)
                    .filter(([, text]) => text !== "")
                    .map(([name, text]) => `${name} ${text}`)
                    .join(", ")}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  );
}
