/** What lies over the page: it has the focus and the keys until it is closed. */

import { useId, useLayoutEffect, useRef, type ReactNode } from "react";

import { LayerContext, useLayer } from "../keys/useCommands";
import { NoticeLine } from "../notices/NoticeProvider";
import "./dialog.css";

interface Props {
  title: string;
  /** Without, it stays until its reason is gone. */
  onClose?: () => void;
  size?: "small" | "wide" | "palette";
  children: ReactNode;
}

/** The element marked `data-first` gets the focus, else the title. */
export function Dialog({ title, onClose, size = "wide", children }: Props) {
  const element = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  const close = () => onClose?.();
  // a press beside a form must not throw away what was typed
  const closedBy = !onClose ? "none" : size === "palette" ? "any" : "closerequest";
  const layer = useLayer(close);
  useLayoutEffect(() => {
    const dialog = element.current;
    if (dialog === null) return;
    dialog.showModal();
    const first = ["[data-first]:enabled", "h2"].map((of) => dialog.querySelector<HTMLElement>(of));
    first.find((element) => element !== null)?.focus();
    return () => dialog.close(); // gives the focus back to where it was
  }, []);
  return (
    <dialog
      ref={element}
      className={`dialog ${size}`}
      aria-labelledby={titleId}
      closedby={closedBy}
      onCancel={(event) => {
        if (event.target !== event.currentTarget) return; // of a file picker
        event.preventDefault();
        close();
      }}
    >
      <header>
        <h2 id={titleId} tabIndex={-1}>
          {title}
        </h2>
        {onClose && (
          <button type="button" className="plain" onClick={onClose} aria-label="close (Escape)">
            ✕
          </button>
        )}
      </header>
      <LayerContext value={layer}>
        <div className="dialog-body">{children}</div>
      </LayerContext>
      <NoticeLine />
    </dialog>
  );
}
