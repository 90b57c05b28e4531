/** A line of text with a button that copies it. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { report } from "../state/toasts.ts";
import { Button } from "./button.tsx";

const SHOWN_MS = 1_500;

export function CopyButton({ text, label }: { text: string; label: string }): JSX.Element {
  const [isCopied, setCopied] = useState(false);
  const copy = (): void => {
    copyText(text).then(
      () => {
        setCopied(true);
        setTimeout(() => setCopied(false), SHOWN_MS);
      },
      () => report("bad", "The browser does not allow copying here: select the text."),
    );
  };
  return <Button icon={isCopied ? "check" : "copy"} label={isCopied ? "Copied" : label} onPress={copy} />;
}

export function CopyLine({ text, label }: { text: string; label: string }): JSX.Element {
  return (
    <div class="copy-line">
      <code tabIndex={0}>{text}</code>
      <CopyButton text={text} label={label} />
    </div>
  );
}

/** The clipboard is there on https and on the loopback interface only; elsewhere the selection is copied. */
async function copyText(text: string): Promise<void> {
  const { clipboard } = navigator as Partial<Navigator>;
  if (clipboard !== undefined) return clipboard.writeText(text);
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "visually-hidden";
  document.body.append(area);
  area.select();
  const isDone = document.execCommand("copy");
  area.remove();
  if (!isDone) throw new Error("not allowed");
}
