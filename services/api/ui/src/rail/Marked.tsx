/** What the team marked: favourites, and tags. */

import { useQuery } from "@tanstack/react-query";

import { facetsQuery, type ListParams } from "../api/queries";
import { visibleLine } from "../format/visible";
import { useStaleTime } from "../view/flow";
import { toggleTerm } from "../view/terms";
import { currentView, go } from "../view/useView";
import { Pick, Section } from "./Section";

const TAGS_SHOWN = 12; // those that most streams have

export function Marked({ params, ready }: { params: ListParams; ready: boolean }) {
  const { only_favorites: starred, tag: picked, ...others } = params;
  const staleTime = useStaleTime();
  const { data } = useQuery({ ...facetsQuery(others), staleTime, enabled: ready });
  const tags = data?.tags.slice(0, TAGS_SHOWN) ?? [];
  const shown =
    picked === undefined || tags.some(({ tag }) => tag === picked)
      ? tags
      : [...tags, { tag: picked, streams: 0 }];
  return (
    <Section title="Marked">
      <li>
        <Pick
          picked={starred === true}
          pick={() => go({ q: toggleTerm(currentView().q, "fav", "yes") })}
          title="streams that somebody of the team starred (f)"
          lead="★"
          name="favourites"
          count={data?.favorites ?? null}
        />
      </li>
      {shown.map(({ tag, streams }) => (
        <li key={tag}>
          <Pick
            picked={picked === tag}
            pick={() => go({ q: toggleTerm(currentView().q, "tag", tag) })}
            title={`tag ${visibleLine(tag)}`}
            lead="#"
            name={visibleLine(tag)}
            count={streams}
          />
        </li>
      ))}
    </Section>
  );
}
