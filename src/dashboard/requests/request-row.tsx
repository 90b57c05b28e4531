/** Cells of the list of requests. */
import type { JSX } from "preact";
import type { RequestLine } from "../api/types.ts";
import { Mark } from "../parts/status.tsx";
import { bytes, ms, NOTHING, time } from "../text/format.ts";
import { hasFailed, shortPath, toneOf, wayText } from "./request-text.ts";

const COLUMNS = [
  ["ended", "Ended"],
  ["status", "Status"],
  ["request", "Request"],
  ["where", "Runner / target"],
  ["total number", "Total"],
  ["size number", "Out"],
] as const;

export function RequestHeader(): JSX.Element {
  return (
    <>
      {COLUMNS.map(([name, title]) => (
        <span key={name} role="columnheader" class={`cell ${name}`}>
          {title}
        </span>
      ))}
    </>
  );
}

export function RequestCells({ line, href }: { line: RequestLine; href: string }): JSX.Element {
  const { method, way, status, code, runner, target, totalMs, bytesOut } = line;
  return (
    <>
      <span role="cell" class="cell ended faint">
        {time(line.time)}
      </span>
      <span role="cell" class={`cell status ${toneOf(line)}`}>
        <Mark tone={toneOf(line)} />
        {status ?? NOTHING}
      </span>
      <span role="cell" class="cell request">
        <a class="row-link" href={href}>
          <b>{method ?? wayText(way)}</b> <span class="mono">{shortPath(line)}</span>
          {hasFailed(line) && <span class="code"> {code}</span>}
        </a>
      </span>
      <span role="cell" class="cell where">
        {runner === undefined ? (
          <span class="faint">{wayText(way)}</span>
        ) : (
          `${runner} / ${target ?? NOTHING}`
        )}
      </span>
      <span role="cell" class="cell total number">
        {ms(totalMs)}
      </span>
      <span role="cell" class="cell size number">
        {bytes(bytesOut)}
      </span>
    </>
  );
}
