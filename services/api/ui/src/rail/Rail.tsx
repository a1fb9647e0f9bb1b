/** What can be picked with one click: services, patterns, what the team marked, profiles, filters kept under a name. */

import { useFilter } from "../view/useFilter";
import { Marked } from "./Marked";
import { Patterns } from "./Patterns";
import { Profiles } from "./Profiles";
import { Saved } from "./Saved";
import { Services } from "./Services";
import "./rail.css";

export function Rail() {
  const { params, ready } = useFilter();
  return (
    <nav className="rail" aria-label="Services, patterns, marks, profiles, saved filters">
      <Services params={params} ready={ready} />
      <Patterns params={params} ready={ready} />
      <Marked params={params} ready={ready} />
      <Profiles />
      <Saved />
    </nav>
  );
}
