/** The bar on top. */

export function Bar() {
  return <section className="bar" aria-label="The bar on top." />;
}
