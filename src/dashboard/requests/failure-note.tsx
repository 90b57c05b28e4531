/** Why a request has failed: what happened, where, and what to do. */
import type { JSX } from "preact";
import type { RequestLine } from "../api/types.ts";
import { hrefOf } from "../state/route.ts";
import { explanationOf } from "./explanations.ts";
import { hasFailed, phaseText } from "./request-text.ts";

export function FailureNote({ request }: { request: RequestLine }): JSX.Element | null {
  const { code = "", status = 0, phase, reason, runner, target } = request;
  if (!hasFailed(request)) {
    if (status < 400) return null;
    return (
      <p class="callout">
        The target itself responded with {status}: the tunnel works. The target's own log has more.
      </p>
    );
  }
  const explanation = explanationOf(code);
  return (
    <dl class="callout failure">
      {reason !== undefined && (
        <div>
          <dt>What happened</dt>
          <dd>{reason}</dd>
        </div>
      )}
      <div>
        <dt>Where</dt>
        <dd>
          {runner === undefined ? (
            "at the control plane"
          ) : (
            <>
              <a href={hrefOf("runners", [runner])}>{runner}</a>
              {target !== undefined && ` / ${target}`}
            </>
          )}
          {phase !== undefined && `, ${phaseText(phase)}`}
        </dd>
      </div>
      {explanation !== undefined && (
        <>
          <div>
            <dt>{code} means</dt>
            <dd>{explanation.when}</dd>
          </div>
          <div>
            <dt>What to do</dt>
            <dd>{explanation.remedy}</dd>
          </div>
        </>
      )}
    </dl>
  );
}
