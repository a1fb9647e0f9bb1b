/** Names in the order of `places`; those that are new come behind, as they are. */
export function inOrder(names: readonly string[], places: readonly string[]): string[] {
  return [...places, ...names.filter((name) => !places.includes(name))];
}
