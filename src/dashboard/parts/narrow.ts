/** Whether the window has the width of a phone: rows have two lines then. */
import { signal } from "@preact/signals";

const query = matchMedia("(max-width: 700px)");

export const isNarrow = signal(query.matches);
query.addEventListener("change", () => {
  isNarrow.value = query.matches;
});
