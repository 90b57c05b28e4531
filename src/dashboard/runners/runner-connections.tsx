/** The tunnel connections of a runner: those in use, and those that take over. */
import type { JSX } from "preact";
import type { Connection } from "../api/types.ts";
import { Status } from "../parts/status.tsx";
import { now } from "../state/clock.ts";
import { ago, bytes, count, dateTime, ms, NOTHING } from "../text/format.ts";

export function Connections({
  connections,
  behind,
}: {
  connections: readonly Connection[];
  behind: readonly Connection[];
}): JSX.Element {
  if (connections.length + behind.length === 0) return <p class="faint">There is none.</p>;
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Connections">
      <table>
        <thead>
          <tr>
            <th>Connection</th>
            <th>Use</th>
            <th>Carrier</th>
            <th>Peer</th>
            <th>Credential</th>
            <th class="number">Round trip</th>
            <th class="number">Streams</th>
            <th class="number">Bytes</th>
            <th>Since</th>
          </tr>
        </thead>
        <tbody>
          {connections.map((connection) => (
            <Line key={connection.id} connection={connection} use="in use" />
          ))}
          {behind.map((connection) => (
            <Line key={connection.id} connection={connection} use="stands by" />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Line({ connection, use }: { connection: Connection; use: string }): JSX.Element {
  const { id, carrier, peer, credential, rttMs, streams, since, draining } = connection;
  return (
    <tr>
      <td class="mono">{id}</td>
      <td>
        <Status
          tone={draining ? "warn" : use === "in use" ? "ok" : "idle"}
          text={draining ? "drains" : use}
        />
      </td>
      <td>{carrier}</td>
      <td class="mono">{peer ?? NOTHING}</td>
      <td>{credential ?? NOTHING}</td>
      <td class="number">{ms(rttMs)}</td>
      <td class="number">{count(streams)}</td>
      <td class="number">{bytes(connection.bytes)}</td>
      <td title={dateTime(since)}>{ago(since, now.value)}</td>
    </tr>
  );
}
