/** One stream, looked into. */

export function Inspector({ id }: { id: string }) {
  return <section className="inspector" aria-label={`stream ${id}`} />;
}
