/** What the access log knows of a request, as names and values. */
import type { JSX } from "preact";
import type { RequestLine } from "../api/types.ts";
import { hrefOf } from "../state/route.ts";
import { bytes, dateTime, ms, NOTHING } from "../text/format.ts";
import { wayText } from "./request-text.ts";

export interface RequestFact {
  name: string;
  value: string;
  href?: string | undefined;
}

export function factsOf(request: RequestLine): RequestFact[] {
  const { runner, target, credential } = request;
  const facts: (RequestFact | undefined)[] = [
    { name: "Ended", value: dateTime(request.time) },
    { name: "Way", value: wayText(request.way) },
    fact("Path", request.path),
    runner === undefined ? undefined : { name: "Runner", value: runner, href: hrefOf("runners", [runner]) },
    fact("Target", target),
    credential === undefined
      ? undefined
      : { name: "Credential", value: credential, href: hrefOf("requests", [], { credential }) },
    fact("Owner", request.owner),
    fact("Client", request.client),
    fact("Connection", request.connection),
    { name: "Bytes in", value: bytes(request.bytesIn) },
    { name: "Bytes out", value: bytes(request.bytesOut) },
    fact("Trace", request.traceId),
    { name: "Request id", value: request.id },
  ];
  return facts.filter((each) => each !== undefined);
}

export function figuresOf({
  status,
  code,
  totalMs,
  queueMs,
  dialMs,
  firstByteMs,
}: RequestLine): RequestFact[] {
  return [
    { name: "Status", value: status === undefined ? NOTHING : String(status) },
    { name: "Code", value: code ?? NOTHING },
    { name: "Total", value: ms(totalMs) },
    { name: "Queue", value: ms(queueMs) },
    { name: "Dial", value: ms(dialMs) },
    { name: "First byte", value: ms(firstByteMs) },
  ];
}

function fact(name: string, value: string | undefined): RequestFact | undefined {
  return value === undefined ? undefined : { name, value };
}

export function RequestFacts({ request }: { request: RequestLine }): JSX.Element {
  return (
    <>
      <h3>Request</h3>
      <dl class="lines">
        {factsOf(request).map(({ name, value, href }) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{href === undefined ? value : <a href={href}>{value}</a>}</dd>
          </div>
        ))}
      </dl>
    </>
  );
}
