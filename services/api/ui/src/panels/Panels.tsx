/** What lies over the page. */

export function Panels() {
  return <section className="panels" aria-label="What lies over the page." />;
}
