/** How streams of a kind are told, and how they are best looked at. */

import { useQuery } from "@tanstack/react-query";

import { patternsQuery, profilesQuery, type Profile } from "../../api/queries";
import { useEditing } from "../useEditing";
import { TeamTable } from "../TeamTable";
import { ProfileForm } from "./ProfileForm";
import { ProfileRow } from "./ProfileRow";

const COLUMNS = [{ number: "priority" }, "name", "from", "streams", "looked at as"];

export function ProfilesPanel() {
  const { data, error } = useQuery(profilesQuery());
  const patterns = useQuery(patternsQuery()).data?.patterns ?? [];
  const { editing, edit, stop } = useEditing<Profile | "new">();
  const profiles = data?.profiles ?? [];
  const edited = editing === "new" ? null : editing;
  return (
    <>
      <div className="toolbar">
        <span className="grow">
          {`${profiles.length} profiles`}
          <span className="muted"> · of those that fit a stream, the first is used</span>
        </span>
        <button type="button" data-first onClick={() => edit("new")}>
          add a profile
        </button>
      </div>
      {editing !== null && (
        <ProfileForm
          key={edited?.id ?? "new"}
          profile={edited}
          ids={profiles.map((profile) => profile.id)}
          patterns={patterns}
          onDone={stop}
        />
      )}
      <TeamTable columns={COLUMNS} error={error}>
        {profiles.map((profile) => (
          <ProfileRow
            key={profile.id}
            profile={profile}
            patterns={patterns}
            onEdit={() => edit(profile)}
          />
        ))}
      </TeamTable>
    </>
  );
}
