/** Services, patterns, profiles. */

export function Rail() {
  return <section className="rail" aria-label="Services, patterns, profiles." />;
}
