/** The targets of a runner, with their health, and the way to their requests. */
import type { JSX } from "preact";
import { BASE } from "../api/client.ts";
import type { Target } from "../api/types.ts";
import { Status } from "../parts/status.tsx";
import type { Tone } from "../parts/tone.ts";
import { hrefOf } from "../state/route.ts";

const HTTP: Readonly<Record<Target["http"], string>> = {
  "2": "HTTP/2",
  auto: "detected",
  "1.0": "HTTP/1.0",
  "1.1": "HTTP/1.1",
};

export function Targets({
  runner,
  targets,
  isConnected,
}: {
  runner: string;
  targets: readonly Target[];
  isConnected: boolean;
}): JSX.Element {
  if (targets.length === 0) return <p class="faint">Its agent offers none now.</p>;
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Targets">
      <table>
        <thead>
          <tr>
            <th>Target</th>
            <th>Health</th>
            <th>HTTP version</th>
            <th>
              <span class="visually-hidden">Links</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {targets.map(({ name, healthy, http, mayDial }) => (
            <tr key={name}>
              <td class="mono">{name}</td>
              <td>
                <Status {...healthOf(healthy, isConnected)} />
              </td>
              <td>{HTTP[http]}</td>
              <td class="links">
                <a href={hrefOf("requests", [], { runner, target: name })}>Requests</a>
                {mayDial && (
                  <a
                    href={`${BASE}/api/v1/runners/${encodeURIComponent(runner)}/targets/${encodeURIComponent(name)}/`}
                    target="_blank"
                    rel="noreferrer"
                  >
                    Open
                  </a>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function healthOf(isHealthy: boolean, isConnected: boolean): { tone: Tone; text: string } {
  if (!isConnected) return { tone: "idle", text: "not known while the runner is away" };
  return isHealthy
    ? { tone: "ok", text: "accepts connections" }
    : { tone: "bad", text: "down: its agent cannot connect to it" };
}
