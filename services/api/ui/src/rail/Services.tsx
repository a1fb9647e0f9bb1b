/** The services of the streams that pass the rest of the filter; 1…9 picks them by their place. */

import { useQuery } from "@tanstack/react-query";
import { useState } from "react";

import { facetsQuery, type Facets, type ListParams } from "../api/queries";
import { useCommands } from "../keys/useCommands";
import { useStaleTime } from "../view/flow";
import { toggleTerm } from "../view/terms";
import { currentView, go } from "../view/useView";
import { Pick, Section } from "./Section";
import { Spark } from "./Spark";
import { inOrder } from "./order";

const DIGITS = 9;

export function Services({ params, ready }: { params: ListParams; ready: boolean }) {
  const { service, ...others } = params; // those that could be picked instead
  const staleTime = useStaleTime();
  const { data } = useQuery({ ...facetsQuery(others), staleTime, enabled: ready });
  const services = useStable(data?.services);
  const pick = (name: string) => go({ q: toggleTerm(currentView().q, "svc", name) });
  useCommands({
    "filter.service": (digit = 0) => {
      const picked = services[digit - 1];
      if (picked !== undefined) pick(picked.name);
    },
  });
  return (
    <Section title="Services">
      {services.map(({ name, count, spark }, i) => (
        <li key={name}>
          <Pick
            picked={service === name}
            pick={() => pick(name)}
            lead={i < DIGITS ? <kbd>{i + 1}</kbd> : null}
            name={name}
            count={count}
          >
            <Spark values={spark} />
          </Pick>
        </li>
      ))}
      {services.length === 0 && <li className="none">none</li>}
    </Section>
  );
}

/** One that is picked is named even where no stream has it: it may be none that is known. */
type Service = Omit<Facets["services"][number], "name"> & { name: string };

/** Services keep their places while the page is open: their keys must not change under a finger. */
function useStable(services: readonly Service[] | undefined): Service[] {
  const [places, setPlaces] = useState<readonly string[]>([]);
  const ordered = inOrder(services?.map(({ name }) => name) ?? [], places);
  if (ordered.length !== places.length) setPlaces(ordered);
  const found = new Map<string, Service>(services?.map((each) => [each.name, each]));
  return ordered.map((name) => found.get(name) ?? { name, count: 0, spark: [] });
}
