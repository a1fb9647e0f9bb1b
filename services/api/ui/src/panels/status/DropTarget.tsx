/** Captures can be dropped anywhere on the page. */

import { useEffect, useRef, useState } from "react";

import { go } from "../../view/useView";
import { uploads } from "./uploads";

export function DropTarget() {
  const [over, setOver] = useState(false);
  const sign = useRef<HTMLDivElement>(null);
  useEffect(() => {
    // over the whole page dragenter and dragleave come for each element; the count is what is left
    let depth = 0;
    const enter = (event: DragEvent) => {
      if (carriesFiles(event) && ++depth === 1) setOver(true);
    };
    const leave = (event: DragEvent) => {
      if (carriesFiles(event) && --depth <= 0) end();
    };
    const end = () => {
      depth = 0;
      setOver(false);
    };
    const allow = (event: DragEvent) => {
      if (carriesFiles(event)) event.preventDefault();
    };
    const drop = (event: DragEvent) => {
      end();
      if (!carriesFiles(event)) return;
      event.preventDefault();
      const files = event.dataTransfer?.files ?? [];
      if (files.length === 0) return;
      uploads.add(files);
      go({ panel: "status" }, { push: true });
    };
    window.addEventListener("dragenter", enter);
    window.addEventListener("dragleave", leave);
    window.addEventListener("dragover", allow);
    window.addEventListener("drop", drop);
    return () => {
      window.removeEventListener("dragenter", enter);
      window.removeEventListener("dragleave", leave);
      window.removeEventListener("dragover", allow);
      window.removeEventListener("drop", drop);
    };
  }, []);
  useEffect(() => {
    if (over)
      sign.current?.showPopover(); // above whatever lies over the page
    else sign.current?.hidePopover();
  }, [over]);
  return (
    <div ref={sign} popover="manual" className="drop-sign">
      Drop captures (pcap, pcapng; plain, gzip, zstd) to have them read
    </div>
  );
}

function carriesFiles(event: DragEvent): boolean {
  return event.dataTransfer?.types.includes("Files") ?? false;
}
