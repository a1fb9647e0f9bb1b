/** Streams over time. */

export function Timeline() {
  return <section className="timeline" aria-label="Streams over time." />;
}
