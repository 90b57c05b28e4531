/** What a view loads for itself: loading, the value, or why there is none. */
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { unreachable } from "../api/api-error.ts";
import type { ApiError } from "../api/api-error.ts";

export interface Loaded<T> {
  value: T | undefined;
  /** Of the last attempt: a former value may still be there. */
  error: ApiError | undefined;
  reload: () => void;
}

/**
 * @param load called when the view opens, when `key` changes, and by `reload`. The former value stays until there is a new one
 * @param everyMs again after as long, while the page is visible
 */
export function useLoaded<T>(load: () => Promise<T>, key: unknown, everyMs?: number): Loaded<T> {
  const [state, setState] = useState<{ value: T | undefined; error: ApiError | undefined }>({
    value: undefined,
    error: undefined,
  });
  const latest = useRef(load);
  latest.current = load;
  const round = useRef(0);
  const reload = useCallback(() => {
    round.current += 1;
    const mine = round.current;
    const isLatest = (): boolean => round.current === mine;
    latest.current().then(
      (value) => {
        if (isLatest()) setState({ value, error: undefined });
      },
      (cause: unknown) => {
        if (isLatest()) setState(({ value }) => ({ value, error: unreachable(cause) }));
      },
    );
  }, []);
  useEffect(() => {
    reload();
    const timer =
      everyMs === undefined
        ? undefined
        : setInterval(() => {
            if (!document.hidden) reload();
          }, everyMs);
    return () => {
      round.current += 1; // a late response is dropped
      clearInterval(timer);
    };
  }, [key, everyMs, reload]);
  return { ...state, reload };
}
