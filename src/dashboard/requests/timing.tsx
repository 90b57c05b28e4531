/** Where the time of a request went: one bar, and its parts in words. */
import type { JSX } from "preact";
import type { RequestLine } from "../api/types.ts";
import { ms } from "../text/format.ts";
import { PART_TEXTS, timeParts } from "./request-text.ts";

export function Timing({ request }: { request: RequestLine }): JSX.Element {
  const parts = timeParts(request);
  const { totalMs = 0 } = request;
  let from = 0;
  return (
    <div class="timing">
      {parts.length > 0 && totalMs > 0 && (
        <svg viewBox="0 0 100 8" preserveAspectRatio="none" class="timing-bar" aria-hidden="true">
          <rect class="ground" width="100" height="8" />
          {parts.map((part) => {
            const width = (part.ms / totalMs) * 100;
            const x = from;
            from += width;
            return (
              <rect
                key={part.name}
                class={`part ${part.name}`}
                x={x}
                width={Math.max(width, 0.4)}
                height="8"
              />
            );
          })}
        </svg>
      )}
      <dl>
        {parts.map((part) => (
          <div key={part.name}>
            <dt>
              <i class={`swatch part-${part.name}`} aria-hidden="true" />
              {part.name}
            </dt>
            <dd class="number">{ms(part.ms)}</dd>
            <dd class="faint">{PART_TEXTS[part.name]}</dd>
          </div>
        ))}
        <div class="total">
          <dt>total</dt>
          <dd class="number">{ms(request.totalMs)}</dd>
          <dd />
        </div>
      </dl>
    </div>
  );
}
