/** What can be done with the stream that is looked into, by keys, palette and buttons alike. */

import { useQueryClient } from "@tanstack/react-query";
import { useState } from "react";

import { request, type Schemas } from "../api/client";
import { keys } from "../api/keys";
import { formatBytes } from "../format/numbers";
import { usePatterns } from "../inspector/matches/useMatches";
import type { Picked } from "../inspector/octets/columns";
import { currentSelection, picked } from "../inspector/picked";
import { useCommands } from "../keys/useCommands";
import { useTrying } from "../notices/useTrying";
import { formatFind } from "../view/find";
import { currentView, go } from "../view/useView";
import type { ListedStream } from "./cached";
import { Choices, type Choice } from "./Choices";
import { copyText } from "./clipboard";
import { curlAt, written, type Form } from "./content";
import { download } from "./download";
import { suggestions } from "./hideRules";
import { packetFiles } from "./packets";
import { PatternDialog } from "./PatternDialog";
import { useRing } from "./useRing";
import { wantedOf } from "./search";
import { useStreamActions } from "./useStreamActions";

type Open = { kind: "download" | "rule" } | { kind: "pattern"; picked: Picked | null } | null;

export function StreamCommands({ stream }: { stream: ListedStream }) {
  const client = useQueryClient();
  const patterns = usePatterns();
  const ring = useRing();
  const { toggleFavorite, toggleHidden } = useStreamActions();
  const [open, setOpen] = useState<Open>(null);
  const close = () => setOpen(null);
  const id = stream.stream_id_hex;

  /** Do it; what goes wrong is said. */
  const trying = useTrying();
  const copy = (form: Form, name: string) =>
    trying("not copied", async () => {
      const { octets } = await something();
      await copyText(written(octets, form));
      return `copied ${formatBytes(octets.length)} as ${name}`;
    });
  const copyCurl = () =>
    trying("not copied", async () => {
      const { origin } = await something();
      if (origin === null) throw new Error("decoded bytes are of no request");
      await copyText(await curlAt(stream, origin));
      return "copied the request as curl";
    });
  const copyLink = () =>
    trying("not copied", async () => {
      await copyText(window.location.href);
      return "copied a link to this view";
    });
  const search = () =>
    trying("not searched", async () => {
      const selection = currentSelection();
      const wanted = selection && wantedOf(selection.octets);
      if (selection === null) throw new Error("select something first");
      if (wanted === null) throw new Error("the selection is too long");
      const json = { ...wanted, direction: "any" as const };
      const begun = await request<Schemas["SearchBegun"]>("/api/search", { method: "POST", json });
      go({ search: begun.search_id, find: formatFind(json), panel: "search" }, { push: true });
      return begun.missing.length > 0
        ? `searching; not in ${begun.missing.join(", ")}`
        : "searching everywhere";
    });
  const addRule = (rule: Schemas["NewRule"]) =>
    trying("no rule", async () => {
      const made = await request<Schemas["HideRule"]>("/api/hide-rules", {
        method: "POST",
        json: rule,
      });
      for (const queryKey of [keys.rules, keys.streams, keys.overview, keys.stream(id)])
        void client.invalidateQueries({ queryKey });
      return `hide rule ${made.id}: ${made.kind} ${made.value}`;
    });
  const save = (
    title: string,
    params: Record<string, string>,
    name: string,
    not?: string,
  ): Choice => ({
    title,
    not,
    act: () => trying("not downloaded", () => download(`/api/streams/${id}/export`, params, name)),
  });

  useCommands({
    "stream.favorite": () => void toggleFavorite(stream),
    "stream.hide": () => void toggleHidden(stream),
    "stream.hideRule": () => setOpen({ kind: "rule" }),
    "stream.comment": () => focusField("comment"),
    "stream.tag": () => focusField("tag"),
    "stream.download": () => setOpen({ kind: "download" }),
    "pattern.add": () => {
      void picked().then((found) =>
        setOpen({ kind: "pattern", picked: currentSelection() && found }),
      );
    },
    "search.selection": search,
    "copy.text": () => copy("text", "text"),
    "copy.hex": () => copy("hex", "hex"),
    "copy.base64": () => copy("base64", "base64"),
    "copy.python": () => copy("python", "Python bytes"),
    "copy.curl": copyCurl,
    "copy.link": copyLink,
  });

  switch (open?.kind) {
    case undefined:
      return null;
    case "download": {
      const choices = [
        save(
          "what the client sent, as it is",
          { format: "raw", direction: "client" },
          `${id}-client.bin`,
        ),
        save(
          "what the server sent, as it is",
          { format: "raw", direction: "server" },
          `${id}-server.bin`,
        ),
        save("both, as JSON", { format: "json" }, `${id}.json`),
        ...packetFiles(stream, ring).map(({ title, wanted, name, not }) =>
          save(title, { format: "pcap", packets: wanted }, name, not),
        ),
      ];
      return <Choices title="Download" choices={choices} onClose={close} />;
    }
    case "rule": {
      const choices = suggestions(stream, patterns).map(({ title, rule }) => ({
        title,
        act: () => addRule(rule),
      }));
      return <Choices title="Hide every stream of …" choices={choices} onClose={close} />;
    }
    case "pattern":
      return (
        <PatternDialog
          octets={open.picked?.octets ?? new Uint8Array()}
          decoded={open.picked !== null && open.picked.origin === null}
          onClose={close}
        />
      );
  }
}

async function something(): Promise<Picked> {
  const found = await picked();
  if (found === null || found.octets.length === 0)
    throw new Error(`there is nothing to copy in ${currentView().tab}`);
  return found;
}

function focusField(name: string): void {
  document.querySelector<HTMLElement>(`.inspector [data-field=${name}]`)?.focus();
}
