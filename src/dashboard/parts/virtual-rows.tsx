/** Many rows of one height, of which only those in view are in the document. Arrow keys move between their links. */
import type { ComponentChildren, JSX, TargetedKeyboardEvent } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { SPARE_ROWS } from "../limits.ts";

export interface VirtualRowsProps<T> {
  /** Of the table; in lower case, the class that the style sheet knows its columns by. */
  label: string;
  header: ComponentChildren;
  items: readonly T[];
  /** In pixels, as the style sheet has it. */
  rowHeight: number;
  keyOf: (item: T) => string;
  /** Cells of one row. */
  render: (item: T) => ComponentChildren;
  rowClass?: (item: T) => string;
}

interface Range {
  first: number;
  end: number;
}

export function VirtualRows<T>({
  label,
  header,
  items,
  rowHeight,
  keyOf,
  render,
  rowClass,
}: VirtualRowsProps<T>): JSX.Element {
  const scroller = useRef<HTMLDivElement>(null);
  const [{ first, end }, setRange] = useState<Range>({ first: 0, end: 40 });
  /** A row that gets the focus once it is drawn. */
  const wanted = useRef<number | undefined>(undefined);

  const measure = (): void => {
    const element = scroller.current;
    if (element === null) return;
    const from = Math.max(0, Math.floor(element.scrollTop / rowHeight) - SPARE_ROWS);
    const to = Math.ceil((element.scrollTop + element.clientHeight) / rowHeight) + SPARE_ROWS;
    setRange((range) => (range.first === from && range.end === to ? range : { first: from, end: to }));
  };
  useEffect(() => {
    const element = scroller.current;
    if (element === null) return undefined;
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, [rowHeight]);
  useLayoutEffect(() => {
    if (wanted.current !== undefined && focusRow(scroller.current, wanted.current))
      wanted.current = undefined;
  });

  const moveFocus = (event: TargetedKeyboardEvent<HTMLDivElement>): void => {
    const element = scroller.current;
    const row = (event.target as Element).closest<HTMLElement>("[data-row]");
    if (element === null) return;
    const current = row === null ? -1 : Number(row.dataset["row"]);
    const page = Math.max(1, Math.floor(element.clientHeight / rowHeight) - 2);
    const step: Partial<Record<string, number>> = {
      ArrowDown: current + 1,
      ArrowUp: current - 1,
      PageDown: current + page,
      PageUp: current - page,
      Home: 0,
      End: items.length - 1,
    };
    const goal = step[event.key];
    if (goal === undefined || items.length === 0) return;
    event.preventDefault();
    const index = Math.min(Math.max(goal, 0), items.length - 1);
    const top = index * rowHeight;
    if (top < element.scrollTop + rowHeight) element.scrollTop = Math.max(0, top - rowHeight);
    const bottom = top + 3 * rowHeight;
    if (bottom > element.scrollTop + element.clientHeight) element.scrollTop = bottom - element.clientHeight;
    if (!focusRow(element, index)) wanted.current = index;
    measure();
  };

  const last = Math.min(end, items.length);
  const start = Math.min(first, Math.max(0, last - 1));
  return (
    <div
      class={`table ${label.toLowerCase()}`}
      role="table"
      aria-label={label}
      aria-rowcount={items.length + 1}
      ref={scroller}
      tabIndex={0}
      onScroll={measure}
      onKeyDown={moveFocus}
    >
      <div role="rowgroup" class="table-head">
        <div role="row" class="row">
          {header}
        </div>
      </div>
      <div
        role="rowgroup"
        style={{
          paddingTop: `${start * rowHeight}px`,
          paddingBottom: `${Math.max(0, items.length - last) * rowHeight}px`,
        }}
      >
        {items.slice(start, last).map((item, offset) => (
          <div
            key={keyOf(item)}
            role="row"
            class={`row ${rowClass?.(item) ?? ""}`}
            aria-rowindex={start + offset + 2}
            data-row={start + offset}
            style={{ height: `${rowHeight}px` }}
          >
            {render(item)}
          </div>
        ))}
      </div>
    </div>
  );
}

/** @returns false if it is not drawn */
function focusRow(scroller: HTMLElement | null, index: number): boolean {
  const link = scroller?.querySelector<HTMLElement>(`[data-row="${index}"] :is(a, button)`);
  if (link === null || link === undefined) return scroller?.querySelector(`[data-row="${index}"]`) !== null;
  link.focus({ preventScroll: true });
  return true;
}
