/** A modal dialog: the browser's own element, which keeps the focus inside, closes on Escape and gives the focus back. */
import type { ComponentChildren, JSX } from "preact";
import { useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { unreachable } from "../api/api-error.ts";
import { Button } from "./button.tsx";

export interface DialogProps {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
  /** A dialog that must be closed by its button: what it shows is not shown again. */
  isSticky?: boolean;
}

export function Dialog({ title, onClose, children, isSticky = false }: DialogProps): JSX.Element {
  const element = useRef<HTMLDialogElement>(null);
  const id = useId();
  useLayoutEffect(() => {
    const dialog = element.current;
    const opener = document.activeElement;
    dialog?.showModal();
    return () => {
      dialog?.close();
      if (opener instanceof HTMLElement && opener.isConnected) opener.focus();
    };
  }, []);
  return (
    <dialog
      ref={element}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        if (!isSticky) onClose();
      }}
      onClick={(event) => {
        if (event.target === element.current && !isSticky) onClose();
      }}
    >
      <div class="dialog-body">
        <h2 id={id}>{title}</h2>
        {children}
      </div>
    </dialog>
  );
}

export interface ConfirmProps {
  title: string;
  children: ComponentChildren;
  action: string;
  onClose: () => void;
  /** Closes the dialog when it is done; what it throws is shown. */
  onConfirm: () => Promise<void>;
}

export function Confirm({ title, children, action, onClose, onConfirm }: ConfirmProps): JSX.Element {
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState<string>();
  const run = (): void => {
    setBusy(true);
    setFailure(undefined);
    onConfirm().then(onClose, (error: unknown) => {
      setBusy(false);
      setFailure(unreachable(error).message);
    });
  };
  return (
    <Dialog title={title} onClose={onClose}>
      {children}
      {failure !== undefined && (
        <p class="bad-text" role="alert">
          {failure}
        </p>
      )}
      <div class="actions">
        <Button onPress={onClose}>Cancel</Button>
        <Button kind="danger" busy={busy} onPress={run}>
          {action}
        </Button>
      </div>
    </Dialog>
  );
}
