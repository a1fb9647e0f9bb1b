/** Streams. */

export function StreamList() {
  return <section className="list" aria-label="Streams." />;
}
