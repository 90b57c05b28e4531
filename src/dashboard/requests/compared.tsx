/** Two requests side by side; what differs is marked. */
import type { JSX } from "preact";
import type { RequestLine } from "../api/types.ts";
import { Button } from "../parts/button.tsx";
import { NOTHING } from "../text/format.ts";
import { factsOf, figuresOf } from "./request-facts.tsx";

export function Compared({
  one,
  other,
  onEnd,
}: {
  one: RequestLine;
  other: RequestLine;
  onEnd: () => void;
}): JSX.Element {
  const [left, right] = [one, other].map(
    (request) =>
      new Map([...figuresOf(request), ...factsOf(request)].map(({ name, value }) => [name, value])),
  );
  const names = [...new Set([...(left?.keys() ?? []), ...(right?.keys() ?? [])])];
  return (
    <>
      <div class="heading-line">
        <h3>Compared</h3>
        <Button onPress={onEnd}>End the comparison</Button>
      </div>
      <div class="scroll" tabIndex={0} role="region" aria-label="Comparison">
        <table class="compared">
          <thead>
            <tr>
              <th>
                <span class="visually-hidden">Name</span>
              </th>
              <th>First</th>
              <th>This one</th>
            </tr>
          </thead>
          <tbody>
            {names.map((name) => {
              const [a = NOTHING, b = NOTHING] = [left?.get(name), right?.get(name)];
              return (
                <tr key={name} class={a === b ? "" : "differs"}>
                  <th scope="row">{name}</th>
                  <td>{a}</td>
                  <td>{b}</td>
                </tr>
              );
            })}
          </tbody>
        </table>
      </div>
    </>
  );
}
