/** What a session's screen shows: loaded while it is in view, by its validator, so that a screen that stands still costs no picture. */
import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { BASE } from "../api/client.ts";
import { CALL_TIMEOUT_MS, THUMBNAIL_REFRESH_MS } from "../limits.ts";

export function Thumbnail({
  session,
  name,
  isConnected,
}: {
  session: string;
  name: string;
  isConnected: boolean;
}): JSX.Element {
  const place = useRef<HTMLDivElement>(null);
  const [source, setSource] = useState<string>();
  const [isAbsent, setAbsent] = useState(false);

  useEffect(() => {
    const element = place.current;
    if (element === null || !isConnected) return undefined;
    const ended = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isInView = false;
    let current: string | undefined;
    const load = async (): Promise<void> => {
      clearTimeout(timer);
      if (ended.signal.aborted || !isInView) return;
      if (!document.hidden) {
        const picture = await pictureOf(session, ended.signal);
        if (ended.signal.aborted) return;
        setAbsent(picture === undefined);
        if (picture !== undefined) {
          const former = current;
          current = URL.createObjectURL(picture);
          setSource(current);
          if (former !== undefined) URL.revokeObjectURL(former);
        }
      }
      timer = setTimeout(() => void load(), THUMBNAIL_REFRESH_MS);
    };
    const observer = new IntersectionObserver(([entry]) => {
      isInView = entry?.isIntersecting === true;
      void load();
    });
    observer.observe(element);
    return () => {
      ended.abort();
      observer.disconnect();
      clearTimeout(timer);
      if (current !== undefined) URL.revokeObjectURL(current);
    };
  }, [session, isConnected]);

  return (
    <div class="thumbnail" ref={place}>
      {source === undefined || !isConnected ? (
        <span class="faint">
          {!isConnected ? "Its sandbox is not connected" : isAbsent ? "No picture" : "Loading…"}
        </span>
      ) : (
        <img src={source} alt={`Screen of ${name}`} />
      )}
    </div>
  );
}

async function pictureOf(session: string, signal: AbortSignal): Promise<Blob | undefined> {
  try {
    const response = await fetch(
      `${BASE}/api/v1/external-agents/${encodeURIComponent(session)}/screenshot?format=jpeg`,
      { cache: "no-cache", signal: AbortSignal.any([signal, AbortSignal.timeout(CALL_TIMEOUT_MS)]) },
    );
    if (!response.ok) return undefined;
    const picture = await response.blob();
    return /^image\/(?:jpeg|png|webp)$/.test(picture.type) ? picture : undefined;
  } catch {
    return undefined;
  }
}
