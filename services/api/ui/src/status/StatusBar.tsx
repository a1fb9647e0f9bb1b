/** Whether the capture can be trusted. */

export function StatusBar() {
  return <section className="status" aria-label="Whether the capture can be trusted." />;
}
