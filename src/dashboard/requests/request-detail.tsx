/** One request: how it ended and why, where its time went, and what is known of it. Another one may stand beside it. */
import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { useCallback } from "preact/hooks";
import { callPath, SERVER } from "../api/client.ts";
import type { RequestLine } from "../api/types.ts";
import { Button } from "../parts/button.tsx";
import { CopyLine } from "../parts/copy.tsx";
import { Empty, Loading } from "../parts/notice.tsx";
import { Status } from "../parts/status.tsx";
import { useLoaded } from "../state/loaded.ts";
import { goTo } from "../state/route.ts";
import { asCurl } from "../text/commands.ts";
import { NOTHING } from "../text/format.ts";
import { Compared } from "./compared.tsx";
import { FailureNote } from "./failure-note.tsx";
import { RequestFacts } from "./request-facts.tsx";
import { shortPath, toneOf, wayText } from "./request-text.ts";
import { Timing } from "./timing.tsx";

/** Kept for a comparison with the next one that is opened. */
const kept = signal<RequestLine | undefined>(undefined);

/** @param line what the list knows, if it has it */
export function RequestDetail({
  id,
  line,
  backTo,
}: {
  id: string;
  line: RequestLine | undefined;
  backTo: string;
}): JSX.Element {
  const load = useCallback(
    async () => (await callPath("get", "/api/v1/requests/{id}", { path: { id } })) as RequestLine,
    [id],
  );
  // The live line has no reason: the control plane's own record has.
  const { value, error } = useLoaded(load, id);
  const request = value ?? line;
  const close = <Button icon="close" label="Close the request" onPress={() => goTo(backTo)} />;
  if (request === undefined)
    return (
      <>
        <div class="detail-head">{close}</div>
        {error === undefined ? (
          <Loading what="the request" />
        ) : (
          <Empty title="This request is no longer kept">
            <p>The control plane keeps the newest ones. Its access log, if it writes one, has the id {id}.</p>
          </Empty>
        )}
      </>
    );
  const other = kept.value !== undefined && kept.value.id !== request.id ? kept.value : undefined;
  return (
    <>
      <div class="detail-head">
        <h2>
          {request.method ?? wayText(request.way)} <span class="mono">{shortPath(request)}</span>
        </h2>
        {close}
      </div>
      <p>
        <Status tone={toneOf(request)} text={statusText(request)} />
      </p>
      <FailureNote request={request} />
      <h3>Time</h3>
      <Timing request={request} />
      {other === undefined ? (
        <RequestFacts request={request} />
      ) : (
        <Compared one={other} other={request} onEnd={() => (kept.value = undefined)} />
      )}
      {request.way !== "connect" && request.way !== "dial" && (
        <>
          <h3>As a command</h3>
          <CopyLine text={asCurl(SERVER, request)} label="Copy as curl" />
          <p class="faint">Without fields, content and values of the query, which are not recorded.</p>
        </>
      )}
      {other === undefined && (
        <p>
          <Button
            pressed={kept.value?.id === request.id}
            onPress={() => (kept.value = kept.value?.id === request.id ? undefined : request)}
          >
            {kept.value?.id === request.id ? "Now open another request to compare" : "Compare with another"}
          </Button>
        </p>
      )}
    </>
  );
}

function statusText({ status, code = "ok" }: RequestLine): string {
  const shown = status === undefined ? `no response ${NOTHING}` : String(status);
  return code === "ok" ? shown : `${shown} ${code}`;
}
